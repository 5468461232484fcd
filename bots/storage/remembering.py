"""What contacts wrote, for facts to remember: claiming a conversation that no model has read yet, recording what was found, and what was said later.

Guarantee: nothing is remembered of words that were changed or forgotten meanwhile, and no message is read twice with success.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Engine

from bots.storage.claims import Handle
from bots.storage.database import call, to_json
from bots.storage.turns import ModelCall, NewEnd, NewFact


class Written(msgspec.Struct, frozen=True):
    """A message in the contact's own words, and the turn that answered it."""

    id: UUID
    turn: int
    text: str
    at: datetime


class Reading(msgspec.Struct, frozen=True):
    """A conversation to read."""

    tenant: UUID
    conversation: UUID
    contact: UUID
    account: UUID
    #: The contact's, which tell their time zone.
    identities: list[Handle]
    #: Only who holds the newest one may record what was found.
    token: int
    #: How often it failed so far.
    tries: int
    #: The number of the last of these turns.
    until: int
    messages: list[Written]


def claim(engine: Engine, queue: str, *, most: int, lease_s: float) -> Reading | None:
    """Claim the first due conversation of a batch queue's profile, with its oldest unread messages; None when nothing is due."""
    # Not repeated: a claim whose answer was lost becomes due again when its lease ends.
    found: Any = call(engine, "select claim_remembering(%s, %s, %s)", (queue, most, lease_s), repeat=False)
    return None if found is None else msgspec.convert(found, Reading)


def later(engine: Engine, *, contact: UUID, since: datetime) -> list[Written]:
    """What a contact has said after this moment that is answered already, oldest first. Raises StorageUnavailable."""
    found: Any = call(engine, "select said_later(%s, %s)", (contact, since))
    return msgspec.convert(found, list[Written])


def finish(
    engine: Engine,
    claimed: Reading,
    *,
    until: int,
    facts: Sequence[NewFact] = (),
    ends: Sequence[NewEnd] = (),
    by: str = "",
    again_s: float,
    calls: Sequence[ModelCall] = (),
) -> bool:
    """Remember what was found in the turns up to this one, which count as read; False when it is too late. The cost is recorded either way.

    What came since is due after again_s.
    """
    values = (claimed.contact, claimed.conversation, claimed.token, until, to_json(list(facts)), to_json(list(ends)), by, again_s)
    statement = "select finish_remembering(%s, %s, %s, %s, %s::jsonb, %s::jsonb, %s, %s, %s::jsonb)"
    return bool(call(engine, statement, (*values, to_json(list(calls)))))


def put_off(engine: Engine, claimed: Reading, *, until: int, after_s: float | None, calls: Sequence[ModelCall] = ()) -> None:
    """Put it off. None: it failed; it is tried again with growing pauses. The cost is recorded."""
    values = (claimed.contact, claimed.conversation, claimed.token, until, after_s, to_json(list(calls)))
    call(engine, "select put_off_remembering(%s, %s, %s, %s, %s, %s::jsonb)", values)
