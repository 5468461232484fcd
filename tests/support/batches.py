"""Short ways to put a batch in and to read what came of it, for tests of storage and of whole processes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any
from uuid import UUID

from sqlalchemy import Engine

from bots.storage import batch_results, batches, tenants
from bots.storage.batch_intake import NewBatch, Submission, Submitted
from bots.storage.database import hot

LINE_BYTES = 10_000


def lines(count: int, *, text: str = "question") -> bytes:
    """A file of so many plain lines."""
    return "".join(json.dumps({"custom_id": f"q{n}", "text": f"{text} {n}"}) + "\n" for n in range(1, count + 1)).encode()


def tenant_of(engine: Engine) -> UUID:
    """The one tenant."""
    with hot(engine) as connection:
        return tenants.default(connection)


def submission(engine: Engine, *, bot: str = "demo", key: str | None = None, actor: str = "ada", profile: str | None = None) -> Submission:
    """A submission that has begun."""
    new = NewBatch(tenant=tenant_of(engine), bot=bot, name="questions", key=key, actor=actor, profile=profile)
    return Submission(engine, new, line_bytes=LINE_BYTES)


def submit(engine: Engine, data: bytes, **options: Any) -> Submitted:
    """Submit a whole file."""
    begun = submission(engine, **options)
    for piece in _pieces(data):
        begun.feed(piece)
    return begun.finish()


def _pieces(data: bytes, size: int = 1000) -> Iterable[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


def results(engine: Engine, batch: UUID) -> list[dict[str, Any]]:
    """The result's lines so far."""
    return [json.loads(line) for line in _lines(engine, batch)]


def _lines(engine: Engine, batch: UUID) -> Iterator[str]:
    after = 0
    with hot(engine) as connection:
        tenant = tenants.default(connection)
        while rows := batches.ended_after(connection, batch, tenant=tenant, after=after, limit=7):
            after = rows[-1].n
            yield from (batch_results.line(batch, row) for row in rows)
