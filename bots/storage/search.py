r"""Finding conversations by a contact's name or number, or by what was said.

A name is compared as `contacts.folded` has it: without accents, case and marks, letters that only look accented as plain ones. Each typed word is
found anywhere in it; one or two Latin letters at the beginning of a word. A number is found by part of its digits, however both are spelt. Words of
messages are found as they stand, in either composition of their accents.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

#: How many of the newest messages in each direction are searched.
SEARCHED = 50_000
#: A search with more contacts or messages than this is too broad to be useful.
_MOST_FOUND = 500
#: Fewer digits than these are no number.
_LEAST_DIGITS = 3
#: What people copy in front of a number, and its trunk prefix in brackets.
_BEFORE_NUMBER = re.compile(r"^\s*(?:tel:|whatsapp:|(?:https?://)?wa\.me/)|\(0\)", re.IGNORECASE)
_SPACING = frozenset("+()./")

#: The contacts whose name or number has it.
PEOPLE = "find_contacts(:tenant, :search, cast(:numbers as text[]), :digits, :most)"
# Limited in three ways: contacts stop at 500 for each way of finding them, only the newest 50,000 messages of each direction are searched (through
# ix_inbox_received_at and ix_turns_finished_at), and the crossing engine ends a statement after 2 s.
#: The ids of the conversations that have it.
TALKS = f"""
    select v.id from {PEOPLE} p(contact_id) join conversations v on v.tenant_id = :tenant and v.contact_id = p.contact_id
    union
    (select conversation_id from (
        select conversation_id, text from inbox where tenant_id = :tenant order by received_at desc limit :searched) as told
    where text ilike any (cast(:likes as text[])) limit :most)
    union
    (select conversation_id from (
        select conversation_id, answer from turns where tenant_id = :tenant and finished_at is not null
        order by finished_at desc limit :searched) as said
    where answer ilike any (cast(:likes as text[])) limit :most)"""  # noqa: S608 - pieces are literals of this module


def values(search: str) -> dict[str, Any]:
    """The parameters of TALKS for what somebody typed."""
    typed = [search, unicodedata.normalize("NFC", search), unicodedata.normalize("NFD", search)]
    digits = number(search)
    return {
        "search": search,
        "likes": [_like(words) for words in dict.fromkeys(typed)],
        "digits": digits or "",
        "numbers": [words for words in dict.fromkeys((search, digits)) if words],
        "searched": SEARCHED,
        "most": _MOST_FOUND,
    }


def number(search: str) -> str | None:
    """The digits of a phone number, however it is spelt, without the zeros in front of it; None for what is no number."""
    digits: list[str] = []
    for sign in _BEFORE_NUMBER.sub("", search):
        if sign.isdecimal():
            digits.append(str(unicodedata.decimal(sign)))
        elif sign not in _SPACING and unicodedata.category(sign) not in {"Zs", "Pd", "Cf", "Cc"}:
            return None
    found = "".join(digits).lstrip("0")
    return found if len(found) >= _LEAST_DIGITS else None


def _like(words: str) -> str:
    escaped = words.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
