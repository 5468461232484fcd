"""What needs attention, over JSON: the list with reasons, explained, and what can be done about each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, HTTPException, Query

from bots.admin.acting import Operator
from bots.admin.attention import troubles
from bots.admin.attention.troubles import Action, as_row
from bots.domain import Role
from bots.storage.attention import Trouble, TroubleKind
from bots.web import marks
from bots.web.admin_site import AdminSite

_Before = Annotated[str | None, Query(max_length=marks.LONGEST, description="The `before` of the previous page.")]
_Limit = Annotated[int, Query(ge=1, le=200)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """Something that needs attention: its reason, how to fix it, and what can be done, the most helpful action first."""

    trouble: Trouble
    message: str
    fix: str
    actions: list[Action]


@dataclass(frozen=True, slots=True, kw_only=True)
class Troubles:
    """A page of what needs attention, the newest first; the count of each kind stops at 1000."""

    troubles: list[Explained]
    counts: dict[TroubleKind, int]
    #: Where the next page begins; null: nothing is left.
    before: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What was done."""

    kind: TroubleKind
    id: UUID
    action: Action


def router(site: AdminSite) -> APIRouter:
    """Build the endpoints of what needs attention."""
    api = APIRouter(prefix="/api/v1/attention", tags=["attention"])
    viewer, agent = site.may(Role.VIEWER), site.may(Role.AGENT)

    @api.get("")
    async def list_troubles(
        kind: TroubleKind | None = None, before: _Before = None, limit: _Limit = 50, operator: Operator = viewer
    ) -> Troubles:
        """List what needs attention."""
        place = None if before is None else marks.read(before)
        if before is not None and place is None:
            raise HTTPException(422, "before is not valid: take it from the previous page.")
        found = await site.run(troubles.list_troubles, operator, kind=kind, before=place, limit=limit)
        rows = [as_row(trouble) for trouble in found]
        return Troubles(
            troubles=[Explained(trouble=r.trouble, message=r.reason.message, fix=r.reason.fix, actions=list(r.actions)) for r in rows],
            counts=await site.run(troubles.count, operator),
            before=marks.after(found[-1].at, found[-1].id) if len(found) == limit else None,
        )

    @api.post("/{kind}/{id}/{action}")
    async def act(kind: TroubleKind, id: UUID, action: Action, operator: Operator = agent) -> Done:  # noqa: A002 - as in the path
        """Replay, resend, settle, dismiss or resume; or say whether two contacts are the same person or two people."""
        await site.run(troubles.act, operator, kind, id, action)
        return Done(kind=kind, id=id, action=action)

    return api
