"""The audit trail: each use case writes what it did in its own transaction; owners read it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from bots.admin.acting import Operator
from bots.admin.deps import Deps
from bots.storage import audit
from bots.storage.audit import Entry
from bots.storage.database import hot


def record(connection: Connection, operator: Operator, action: str, subject: str, detail: dict[str, Any] | None = None) -> None:
    """Write down that the operator did action (`bot.publish`) to subject (`bot:demo`)."""
    audit.record(connection, tenant=operator.tenant_id, actor=operator.name, action=action, subject=subject, detail=detail)


def newest(
    deps: Deps, operator: Operator, *, actor: str | None = None, action: str | None = None, before: UUID | None = None, limit: int
) -> list[Entry]:
    """The newest entries, or those before an entry; optionally of one actor, or of actions that begin with `bot` or `bot.publish`."""
    with hot(deps.web) as connection:
        return audit.newest(connection, tenant=operator.tenant_id, actor=actor, action=action, before=before, limit=limit)
