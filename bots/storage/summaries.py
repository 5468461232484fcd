"""What prompts have no more room for, told in a few sentences: who summarises which conversation, and what came of it.

Guarantee: a summary replaces only the one it was made from; one that a contact wanted forgotten meanwhile is dropped.
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
    #: The last turn of these.
    until: int
    #: What is told of the turns before.
    summary: str | None
    turns: list[PastTurn]


def claim(engine: Engine, queue: str, *, lease_s: float) -> SummaryClaim | None:
    """Claim the first due conversation of a batch queue's profile; None when nothing is due."""
    # Not repeated: a claim whose answer was lost becomes due again when its time is over.
    found: Any = call(engine, "select claim_summary(%s, %s)", (queue, lease_s), repeat=False)
    return None if found is None else msgspec.convert(found, SummaryClaim)


def finish(engine: Engine, claimed: SummaryClaim, summary: str | None, *, until: int, calls: Sequence[ModelCall]) -> bool:
    """Write the summary of the turns up to this one; False when it came too late, or nobody wants it any more. It is paid for all the same.

    Where it is not about all that was claimed, the rest is due at once.
    """
    values = (claimed.contact, claimed.conversation, claimed.token, summary, until, to_json(list(calls)))
    return bool(call(engine, "select finish_summary(%s, %s, %s::timestamptz, %s, %s, %s::jsonb)", values))


def put_off(engine: Engine, claimed: SummaryClaim, *, after_s: float | None, until: int, calls: Sequence[ModelCall]) -> bool:
    """Try again after a while; None: it failed, which is tried three times, and then again whenever the talk asks for it. What it took is kept."""
    values = (claimed.contact, claimed.conversation, claimed.token, after_s, until, to_json(list(calls)))
    return bool(call(engine, "select put_off_summary(%s, %s, %s::timestamptz, %s, %s, %s::jsonb)", values))
