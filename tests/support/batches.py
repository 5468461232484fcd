"""Short ways to put a batch in and to read what came of it, for tests of storage and of whole processes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import Engine

from bots.admin import batches
from bots.storage import tenants
from bots.storage.batch_intake import Submission, Submitted
from bots.storage.database import hot
from tests.support.acting import acting, deps


def lines(count: int, *, text: str = "question") -> bytes:
    """A file of so many plain lines."""
    return "".join(json.dumps({"custom_id": f"q{n}", "text": f"{text} {n}"}) + "\n" for n in range(1, count + 1)).encode()


def tenant_of(engine: Engine) -> UUID:
    """The one tenant."""
    with hot(engine) as connection:
        return tenants.default(connection)


def submission(engine: Engine, *, bot: str = "demo", key: str | None = None, actor: str = "ada", profile: str | None = None) -> Submission:
    """A submission that has begun."""
    operator = acting(tenant_of(engine), actor)
    return batches.begin(deps(engine), operator, bot=bot, name="questions", key=key, profile=profile)


def submit(
    engine: Engine, data: bytes, *, bot: str = "demo", key: str | None = None, actor: str = "ada", profile: str | None = None
) -> Submitted:
    """Submit a whole file."""
    operator = acting(tenant_of(engine), actor)
    return batches.submit(deps(engine), operator, _pieces(data), bot=bot, name="questions", key=key, profile=profile)


def _pieces(data: bytes, size: int = 1000) -> Iterable[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


def results(engine: Engine, batch: UUID) -> list[dict[str, Any]]:
    """The result's lines so far."""
    parts = batches.results(deps(engine), acting(tenant_of(engine)), batch)
    return [json.loads(line) for part in parts for line in part.splitlines()]
