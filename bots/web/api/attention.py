"""What wants attention, over JSON: the list with reasons in plain words, and what can be done about each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, HTTPException, Query

from bots.admin.acting import Operator
from bots.admin.attention.troubles import Action, Attention, as_row
from bots.domain import Role
from bots.storage.attention import Trouble, TroubleKind
from bots.web import marks
from bots.web.admin_site import AdminSite

_Before = Annotated[str | None, Query(max_length=marks.LONGEST, description="The `before` of the page that was read last.")]
_Limit = Annotated[int, Query(ge=1, le=200)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """A trouble, its reason in plain words, the mend, and what can be done: what fits first."""

    trouble: Trouble
    words: str
    mend: str
    actions: list[Action]


@dataclass(frozen=True, slots=True, kw_only=True)
class Troubles:
    """A page of troubles, the newest first; counts go to 1000 of each kind."""

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
    """Build the endpoints of what wants attention."""
    api = APIRouter(prefix="/api/v1/attention", tags=["attention"])
    viewer, agent = site.may(Role.VIEWER), site.may(Role.AGENT)
    attention = Attention(crossing=site.crossing, keyring=site.keyring, settings=site.settings)

    @api.get("")
    async def troubles(
        kind: TroubleKind | None = None, before: _Before = None, limit: _Limit = 50, operator: Operator = viewer
    ) -> Troubles:
        """List what wants attention."""
        place = None if before is None else marks.read(before)
        if before is not None and place is None:
            raise HTTPException(422, "before is none of ours: take it from the page that was read last.")
        found = await site.do(partial(attention.troubles, operator.tenant_id, kind=kind, before=place, limit=limit))
        rows = [as_row(trouble) for trouble in found]
        return Troubles(
            troubles=[Explained(trouble=r.trouble, words=r.reason.words, mend=r.reason.mend, actions=list(r.actions)) for r in rows],
            counts=await site.do(partial(attention.count, operator.tenant_id)),
            before=marks.after(found[-1].at, found[-1].id) if len(found) == limit else None,
        )

    @api.post("/{kind}/{id}/{action}")
    async def act(kind: TroubleKind, id: UUID, action: Action, operator: Operator = agent) -> Done:  # noqa: A002 - as in the path
        """Replay, resend, settle, dismiss or resume."""
        await site.do(partial(attention.act, operator.tenant_id, kind, id, action, actor=operator.name))
        return Done(kind=kind, id=id, action=action)

    return api
