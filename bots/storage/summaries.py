"""Summaries of the turns for which prompts have no more room: claiming a conversation to summarise, and recording the result.

Guarantee: a summary replaces only the one it was made from. It is dropped if the contact has asked meanwhile to forget.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Engine

from bots.storage.claims import PastTurn
from bots.storage.database import call, to_json
from bots.storage.turns import ModelCall


class SummaryClaim(msgspec.Struct, frozen=True):
    """A conversation to summarise."""

    tenant: UUID
    conversation: UUID
    contact: UUID
    account: UUID
    #: When the claim ends; only its holder may write the summary.
    token: str
    #: The number of the last of these turns.
    until: int
    #: The summary of the turns before.
    summary: str | None
    turns: list[PastTurn]
    #: How often it failed so far.
    tries: int = 0


def claim(engine: Engine, queue: str, *, lease_s: float) -> SummaryClaim | None:
    """Claim the first due conversation of a batch queue's profile; None when nothing is due."""
    # Not repeated: a claim whose answer was lost becomes due again when its lease ends.
    found: Any = call(engine, "select claim_summary(%s, %s)", (queue, lease_s), repeat=False)
    return None if found is None else msgspec.convert(found, SummaryClaim)


def finish(engine: Engine, claimed: SummaryClaim, summary: str | None, *, until: int, calls: Sequence[ModelCall]) -> bool:
    """Write the summary of the turns up to this one; False when it is too late or no longer needed. Its cost is recorded either way.

    If it does not cover all that was claimed, the rest is due at once.
    """
    values = (claimed.contact, claimed.conversation, claimed.token, summary, until, to_json(list(calls)))
    return bool(call(engine, "select finish_summary(%s, %s, %s::timestamptz, %s, %s, %s::jsonb)", values))


def put_off(engine: Engine, claimed: SummaryClaim, *, after_s: float | None, until: int, calls: Sequence[ModelCall]) -> bool:
    """Put a summary off. None: it failed; it is tried again with growing pauses. Its cost is recorded."""
    values = (claimed.contact, claimed.conversation, claimed.token, after_s, until, to_json(list(calls)))
    return bool(call(engine, "select put_off_summary(%s, %s, %s::timestamptz, %s, %s, %s::jsonb)", values))
