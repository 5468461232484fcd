"""A person's handle changed: which handles are theirs now, and which were.

The platform states that in many forms, so each handle counts by what is said about it, and the rest by its kind: a handle that named the person
is gone if a new one of its kind is there. Where nothing else says who changed, the handle that named the person is the old one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from bots.channels.fields import Fields, as_fields, id_of
from bots.channels.whatsapp.people import handle, identities
from bots.domain import Identity

Handles = tuple[Identity, ...]

_HANDLE = r"([A-Z]{2}\.(?:[A-Za-z0-9]+\.)*[A-Za-z0-9]+|\+?[0-9][0-9 ()\-]{4,24}[0-9])"
#: "... from OLD to NEW", at the very end: what comes before contains the person's own name, in which anything may stand.
_SENTENCE = re.compile(rf"{_HANDLE}\W+[^\W\d_]{{1,12}}\W+{_HANDLE}\W{{0,3}}\Z")
_SENTENCE_LIMIT = 320


def changed_handles(notice: Fields, named: Handles, sentence: str | None) -> tuple[Handles, Handles]:
    """Return the handles that a person has now, and those before. `named` are those that the notice came from.

    For a notice that changes no handle, `named` are those that the person has now.
    """
    about = str(notice.get("type"))
    is_number, is_id = about.endswith("changed_number"), about.endswith("user_id")
    old = identities(
        *(handle(found) for found in _values(notice, ("previous_user_id", "previous_wa_id", "old_wa_id", "customer"), "previous"))
    )
    stated = identities(*(handle(id_of(notice, name)) for name in ("user_id", "wa_id")))
    if not (is_number or is_id or old):
        return identities(named, stated), ()
    new = identities(*(handle(found) for found in _values(notice, ("user_id", "new_user_id", "new_wa_id"), "current")))
    told = handle(id_of(notice, "wa_id"))
    was, became = _told_by(sentence)
    if is_number and told != was:
        new = identities(new, told)
    else:
        # A new id is stated next to the number that the person is known by.
        named = identities(named, told)
    # It must agree with what is stated; where nothing is, it alone counts.
    if became and (became[0] in new or was[0] in (*named, *old) or not (new or named or old)):
        new, old = identities(new, became), identities(old, was)
    return sorted_out(new, old, named)


def sorted_out(new: Handles, old: Handles, named: Handles) -> tuple[Handles, Handles]:
    """Return the handles now and those before, from what is stated as new, as old, and only as the person's."""
    new = tuple(one for one in new if one not in old) or new
    others = [one for one in named if one not in new and one not in old]
    gone = [one for one in others if _of_kinds((one,), new)]
    stay = [one for one in others if one not in gone]
    old = identities([one for one in old if one not in new], gone)
    if not old and new:
        return new, tuple(stay)
    return identities(new, stay), old


def _of_kinds(found: Sequence[Identity], others: Sequence[Identity]) -> bool:
    kinds = {one.kind for one in others}
    return any(one.kind in kinds for one in found)


def _values(notice: Fields, names: Sequence[str], side: str) -> list[str]:
    """The ids under some names, and those on one side of a pair {previous, current} under any of them."""
    pairs: list[Any] = [notice.get(name) for name in ("user_id", "wa_id")]
    found = [id_of(notice, name) for name in names]
    found += [id_of(pair, side) for pair in map(as_fields, pairs) if pair is not None]
    return [one for one in found if one is not None]


def _told_by(sentence: str | None) -> tuple[Handles, Handles]:
    """The old and the new handle in the platform's sentence about a change."""
    found = _SENTENCE.search(sentence[-_SENTENCE_LIMIT:]) if sentence else None
    return ((), ()) if found is None else (handle(found[1]), handle(found[2]))
