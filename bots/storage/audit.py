"""Who changed what: one row for every write of an operator. It has names and codes; no secrets, and nothing that people wrote."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from bots.storage.database import to_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One write by an operator."""

    id: UUID
    at: datetime
    actor: str
    action: str
    subject: str
    detail: dict[str, Any] | None


def record(connection: Connection, *, tenant: UUID, actor: str, action: str, subject: str, detail: dict[str, Any] | None = None) -> None:
    """Record that actor did action (`bot.publish`) to subject (`bot:demo`)."""
    connection.execute(
        text(
            "insert into audit (tenant_id, actor, action, subject, detail)"
            " values (:tenant, :actor, :action, :subject, cast(:detail as jsonb))"
        ),
        {"tenant": tenant, "actor": actor, "action": action, "subject": subject, "detail": None if detail is None else to_json(detail)},
    )


def newest(
    connection: Connection,
    *,
    tenant: UUID,
    actor: str | None = None,
    action: str | None = None,
    before: UUID | None = None,
    limit: int = 100,
) -> list[Entry]:
    """The newest entries, or those before a given one; filtered by actor, or by the beginning of the action, such as `bot` or `bot.publish`."""
    wanted = ["tenant_id = :tenant"]
    if actor is not None:
        wanted.append("actor = :actor")
    if action is not None:
        wanted.append("starts_with(action, :action)")
    if before is not None:
        # Entries of one transaction share their time.
        wanted.append("(at, id) < (select b.at, b.id from audit b where b.tenant_id = :tenant and b.id = :before)")
    rows = connection.execute(
        text(
            f"select id, at, actor, action, subject, detail from audit where {' and '.join(wanted)}"  # noqa: S608 - our own words
            " order by at desc, id desc limit :limit"
        ),
        {"tenant": tenant, "actor": actor, "action": action, "before": before, "limit": limit},
    )
    return [Entry(**row) for row in rows.mappings()]
