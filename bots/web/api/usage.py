"""Tokens and money over JSON: a month in all, by day, by bot, by model and endpoint."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query

from bots.domain import Role
from bots.storage.usage import Month
from bots.web import usage
from bots.web.acting import Operator
from bots.web.room import Room

_Month = Annotated[str | None, Query(pattern=usage.MONTH, description="2026-11; left out: the current month. Months are those of UTC.")]


def router(room: Room) -> APIRouter:
    """Build the endpoint of usage."""
    api = APIRouter(prefix="/api/v1/usage", tags=["usage"])
    viewer = room.may(Role.VIEWER)

    @api.get("")
    async def read(month: _Month = None, operator: Operator = viewer) -> Month:
        """Return a month's calls, tokens and money in USD; what is younger than `counted_until` is not in it yet."""
        first = None if month is None else usage.month_of(month)
        return (await room.do(partial(usage.read, room.crossing, operator.tenant_id, first))).month

    return api
