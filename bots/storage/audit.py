"""Who changed what: one row for every write of an operator. Names of things and codes; no secrets, no people's words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from bots.storage.database import to_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One write of an operator."""

    id: UUID
    at: datetime
    actor: str
    action: str
    subject: str
    detail: dict[str, Any] | None


def record(connection: Connection, *, tenant: UUID, actor: str, action: str, subject: str, detail: dict[str, Any] | None = None) -> None:
    """Write down that actor did action (`bot.publish`) to subject (`bot:demo`)."""
    connection.execute(
        text(
            "insert into audit (tenant_id, actor, action, subject, detail)"
            " values (:tenant, :actor, :action, :subject, cast(:detail as jsonb))"
        ),
        {"tenant": tenant, "actor": actor, "action": action, "subject": subject, "detail": None if detail is None else to_json(detail)},
    )


def newest(connection: Connection, *, tenant: UUID, before: datetime | None = None, limit: int = 100) -> list[Entry]:
    """The newest entries, or those before a time."""
    rows = connection.execute(
        text(
            "select id, at, actor, action, subject, detail from audit"
            " where tenant_id = :tenant and at < coalesce(cast(:before as timestamptz), 'infinity') order by at desc, id limit :limit"
        ),
        {"tenant": tenant, "before": before, "limit": limit},
    )
    return [Entry(**row) for row in rows.mappings()]
