"""Batch items in work: they are claimed with a lease and a fencing token, and ended once.

Guarantee: an item ends once. Whoever has lost its lease, or finishes it after the batch was cancelled, changes nothing.
"""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

import msgspec
from sqlalchemy import Engine

from bots.storage.database import call, to_json

#: When Postgres is unavailable, try to record an answer for as long as its lease may last.
_PATIENCE_S = (0.05, 0.3, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0)


class AskedMessage(msgspec.Struct, frozen=True):
    """One message of a request."""

    role: str
    content: str


class Request(msgspec.Struct, frozen=True):
    """What a line asks: a text for the bot, or messages of its own."""

    text: str | None = None
    messages: list[AskedMessage] = []
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None


class Item(msgspec.Struct, frozen=True):
    """A claimed item."""

    batch: UUID
    n: int
    #: The fencing token: only its holder may finish the item.
    token: int
    tries: int
    request: Request
    tenant: UUID
    #: The bot's published persona.
    persona: str | None = None
    #: Whether the bot's conversations may leave the operator's own servers.
    may_leave: bool = False


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """What the model calls of an item took, and which endpoint was asked last."""

    model: str | None = None
    endpoint: str | None = None
    cost: float | None = None
    tokens_in: int | None = None
    tokens_cached: int | None = None
    tokens_out: int | None = None
    #: Whether any of these tokens were counted or estimated here.
    estimated: bool = False


class ItemResult(Spent, frozen=True, kw_only=True):
    """How an item ended. What it took is added to what its earlier tries took."""

    state: Literal["done", "failed"]
    answer: str | None = None
    #: Why it failed; of an answer that is not whole `length` (at a limit of tokens) or `cut` (for another reason).
    reason: str | None = None


_NOTHING = Spent()


def claim(engine: Engine, queue: str, *, boot: UUID, lease_s: float) -> Item | None:
    """Claim the first due item of the queue's oldest running batch; None when nothing is due."""
    # Not repeated: a claim whose answer was lost becomes due again when its lease ends.
    found: Any = call(engine, "select claim_item(%s, %s, %s)", (queue, boot, lease_s), repeat=False)
    return None if found is None else msgspec.convert(found, Item)


def finish(engine: Engine, item: Item, result: ItemResult) -> bool:
    """Record how an item ended; False when its lease was lost or its batch was cancelled."""
    values = (item.batch, item.n, item.token, to_json(result))
    return bool(call(engine, "select finish_item(%s, %s, %s, %s::jsonb)", values, delays=_PATIENCE_S))


def hold(engine: Engine, item: Item, *, hold_s: float, spent: Spent = _NOTHING) -> bool:
    """Put an item back and let its batch wait, since the model is unavailable. This does not count as a try."""
    return bool(call(engine, "select hold_item(%s, %s, %s, %s, %s::jsonb)", (item.batch, item.n, item.token, hold_s, to_json(spent))))


def retry_later(engine: Engine, item: Item, *, after_s: float, reason: str, spent: Spent = _NOTHING) -> bool:
    """Put an item back for a later try."""
    values = (item.batch, item.n, item.token, after_s, reason, to_json(spent))
    return bool(call(engine, "select retry_item(%s, %s, %s, %s, %s, %s::jsonb)", values))


def keep_house(engine: Engine) -> int:
    """End what nobody else ended: batches without open items, and interrupted checks of files. Returns how many of these checks there were."""
    return call(engine, "select keep_batches()", ())
