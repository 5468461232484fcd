"""Tokens and money over JSON: a month in all, by day, by bot, by model and endpoint."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from bots.admin import usage
from bots.admin.acting import Operator
from bots.domain import Role
from bots.storage.usage import Month
from bots.web.admin_site import AdminSite

_Month = Annotated[
    str | None, Query(pattern=usage.MONTH, description="A month as in 2026-11; default: the current one. Months are in UTC.")
]


def router(site: AdminSite) -> APIRouter:
    """Build the endpoint of usage."""
    api = APIRouter(prefix="/api/v1/usage", tags=["usage"])
    viewer = site.may(Role.VIEWER)

    @api.get("")
    async def read(month: _Month = None, operator: Operator = viewer) -> Month:
        """Return a month's calls, tokens and money in USD; calls after `counted_until` are not included yet."""
        first = None if month is None else usage.month_of(month)
        return (await site.run(usage.read, operator, first)).month

    return api
