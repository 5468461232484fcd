"""Home's numbers over JSON: the last day by hours, the last week by days."""

from __future__ import annotations

from fastapi import APIRouter

from bots.admin import figures
from bots.admin.acting import Operator
from bots.domain import Role
from bots.storage.figures import Figures, Span
from bots.web.admin_site import AdminSite


def router(site: AdminSite) -> APIRouter:
    """Build the endpoint of the figures."""
    api = APIRouter(prefix="/api/v1/figures", tags=["figures"])
    viewer = site.may(Role.VIEWER)

    @api.get("/{span}")
    async def read(span: Span, operator: Operator = viewer) -> Figures:
        """Messages, answers, time to answer, tokens and failures of a span; at most five seconds old."""
        return await site.run(figures.read, operator, span, cache=site.figures)

    return api
