"""Endpoints that refuse calls, or whose account is empty: one row for each endpoint of a tenant, from its first refusal until it answers again.

Nothing that people wrote is in it: the server's words come without the prompt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from sqlalchemy import Connection, Engine, text

from bots.errors import NotFound
from bots.storage.database import call, unit

#: What the attention page lists (bots.storage.attention). BEFORE limits it to the entries older than a given one.
LISTED = """
    select 'model' as kind, m.id, m.endpoint as account, null::text as channel, m.kind as state,
        m.status || ':' || m.said as reason, m.attention_at as at, m.times as count,
        null::timestamptz as due_at, null::uuid as conversation, null::uuid as account_id, null::uuid as former
    from model_refusals m where m.tenant_id = :tenant and m.attention_at is not null and BEFORE"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRefusal:
    """One refusal of a model server."""

    kind: Literal["refused", "quota"]
    #: The HTTP status; 0 where it came without one.
    status: int
    #: The server's own words, on one line.
    said: str


def note(engine: Engine, tenant: UUID, endpoint: str, refused: ModelRefusal, *, times: int = 1) -> None:
    """Record refusals of an endpoint: the last one, and how many they are. Raises StorageUnavailable."""
    said = refused.said.replace("\0", "")
    call(
        engine, "select model_refused(%s, %s, %s, %s, %s, %s)", (tenant, endpoint, refused.kind, refused.status, said, times), repeat=False
    )


def answered(engine: Engine, tenant: UUID, endpoint: str) -> None:
    """Forget an endpoint's refusals: it answered. Raises StorageUnavailable."""
    call(engine, "select model_answered(%s, %s)", (tenant, endpoint))


def refused(engine: Engine) -> frozenset[tuple[UUID, str]]:
    """The tenants and names of all endpoints with a row. Raises StorageUnavailable."""
    with unit(engine) as connection:
        return frozenset(
            (row.tenant_id, row.endpoint) for row in connection.execute(text("select tenant_id, endpoint from model_refusals"))
        )


def dismiss(connection: Connection, *, tenant: UUID, id_: UUID) -> None:
    """Stop showing an endpoint, until it refuses for another reason or answers and refuses again. Raises NotFound."""
    statement = "update model_refusals set attention_at = null where tenant_id = :tenant and id = :id and attention_at is not null"
    if not connection.execute(text(statement), {"tenant": tenant, "id": id_}).rowcount:
        raise NotFound("There is no such endpoint, or it was dismissed already, or it answers again.")
