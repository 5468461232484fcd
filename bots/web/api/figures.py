"""Home's numbers over JSON: the last day by hours, the last week by days."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter

from bots.domain import Role
from bots.storage.figures import Figures, Span
from bots.web.acting import Operator
from bots.web.room import Room


def router(room: Room) -> APIRouter:
    """Build the endpoint of the figures."""
    api = APIRouter(prefix="/api/v1/figures", tags=["figures"])
    viewer = room.may(Role.VIEWER)

    @api.get("/{span}")
    async def read(span: Span, operator: Operator = viewer) -> Figures:
        """Messages, answers, time to answer, tokens and failures of a span; at most five seconds old."""
        return await room.do(partial(room.numbers.read, operator.tenant_id, span))

    return api
