"""Who am I, over JSON."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter

from bots.admin.acting import Operator
from bots.domain import Role
from bots.web.admin_site import AdminSite


@dataclass(frozen=True, slots=True, kw_only=True)
class Me:
    """The operator who acts, and their role."""

    id: UUID
    name: str
    #: By a token: the lower one of its role and its operator's.
    role: Role
    by_token: bool


def router(site: AdminSite) -> APIRouter:
    """Build the endpoint."""
    api = APIRouter(prefix="/api/v1/me", tags=["me"])
    viewer = site.may(Role.VIEWER)

    @api.get("")
    async def me(operator: Operator = viewer) -> Me:
        """Return the operator who acts, and their role."""
        return Me(id=operator.id, name=operator.name, role=operator.role, by_token=operator.by_token)

    return api
