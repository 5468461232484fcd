"""The audit trail over JSON, for owners."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query

from bots.admin import audit
from bots.admin.acting import Operator
from bots.domain import Role
from bots.storage.audit import Entry
from bots.web.admin_site import AdminSite

_Word = Annotated[str | None, Query(min_length=1, max_length=80, pattern=r"^[^\x00]*$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryView:
    """One change: who did what to what."""

    id: UUID
    at: datetime
    actor: str
    action: str
    subject: str
    detail: dict[str, Any] | None


def router(site: AdminSite) -> APIRouter:
    """Build the endpoint."""
    api = APIRouter(prefix="/api/v1/audit", tags=["audit"])
    owner = site.may(Role.OWNER)

    @api.get("")
    async def newest(
        actor: _Word = None,
        action: _Word = None,
        before: UUID | None = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        operator: Operator = owner,
    ) -> list[EntryView]:
        """List the newest entries, or those before an entry; only those of an actor, or of actions that begin with, for example, `bot` or `bot.publish`."""
        entries = await site.run(audit.newest, operator, actor=actor, action=action, before=before, limit=limit)
        return [_view(entry) for entry in entries]

    return api


def _view(entry: Entry) -> EntryView:
    return EntryView(id=entry.id, at=entry.at, actor=entry.actor, action=entry.action, subject=entry.subject, detail=entry.detail)
