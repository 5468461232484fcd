r"""Finding conversations by a contact's name or number, or by what was said.

A name is compared as `contacts.folded` has it: without accents, case and marks, letters that only look accented as plain ones. A number is
found by part of its digits, however both are spelt. Words of messages are found as they stand, in either composition of their accents.
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

# The same expression as of contacts.folded (tables/contacts.sql), for what is searched.
_WORDS = r"""
    regexp_split_to_table(btrim(translate(regexp_replace(replace(replace(replace(replace(lower(normalize(cast(:search as text), nfkd)),
        'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe'), 'þ', 'th'),
        '[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff.,"''’‘ʼ`´]', '', 'g'),
        'øłđıðħŧŋəςیىکةٱ-_‐‒–—−', 'oldidhtneσييكها       ')), '\s+')"""

# A plain scan, limited in three ways: names and identities stop at 500 matches, only the newest 50,000 messages of each direction are
# searched (through ix_inbox_received_at and ix_turns_finished_at), and the crossing engine ends a statement after 2 s.
BY_PERSON = rf"""c.contact_id in (
        (select id from contacts where tenant_id = :tenant and folded like all (nullif(array(
            select '%' || replace(replace(replace(word, '\', '\\'), '%', '\%'), '_', '\_') || '%' from {_WORDS} word where word <> ''), '{{}}'))
            limit :most)
        union all
        (select contact_id from contact_identities where tenant_id = :tenant
            and (value ilike any (cast(:numbers as text[])) or norm = one_number('phone', cast(:digits as text))) limit :most))"""  # noqa: S608 - pieces are literals of this module
FOUND = f"""({BY_PERSON}
    or c.id in (
        (select conversation_id from (
            select conversation_id, text from inbox where tenant_id = :tenant order by received_at desc limit :searched) as told
        where text ilike any (cast(:likes as text[])) limit :most)
        union all
        (select conversation_id from (
            select conversation_id, answer from turns where tenant_id = :tenant and finished_at is not null
            order by finished_at desc limit :searched) as said
        where answer ilike any (cast(:likes as text[])) limit :most)))"""  # noqa: S608 - pieces are literals of this module


def values(search: str) -> dict[str, Any]:
    """The parameters of FOUND for what somebody typed."""
    typed = [search, unicodedata.normalize("NFC", search), unicodedata.normalize("NFD", search)]
    digits = number(search)
    return {
        "search": search,
        "likes": [_like(words) for words in dict.fromkeys(typed)],
        "digits": digits or "",
        "numbers": [_like(words) for words in (search, digits) if words],
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
