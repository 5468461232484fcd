"""Operators over JSON, for owners. A one-time link is in the response that creates it and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, StringConstraints

from bots.admin import operators
from bots.admin.acting import Operator
from bots.domain import Role
from bots.storage.operators import Known
from bots.web.admin_site import AdminSite

_Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=operators.MOST_NAME, pattern=operators.NAME)]
_MAY_MISS: dict[int | str, dict[str, Any]] = {404: {"description": "There is no such operator."}}
_MAY_CONFLICT: dict[int | str, dict[str, Any]] = {
    409: {"description": "The name is taken, no owner would be left, or the operator is disabled."}
}


class NewOperator(BaseModel):
    """An operator to add."""

    model_config = ConfigDict(extra="forbid")

    name: _Name
    role: Role


class OperatorChange(BaseModel):
    """What to change; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    role: Role | None = None
    disabled: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorView:
    """An operator."""

    id: UUID
    name: str
    role: Role
    has_password: bool
    created_at: datetime
    last_in_at: datetime | None
    disabled_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """An operator and the path of the one-time link for choosing a password; it works once and expires after a day."""

    operator: OperatorView
    link: str


def router(site: AdminSite) -> APIRouter:
    """Build the endpoints of operators."""
    api = APIRouter(prefix="/api/v1/operators", tags=["operators"])
    owner = site.may(Role.OWNER)

    @api.get("")
    async def list_operators(operator: Operator = owner) -> list[OperatorView]:
        """List all operators by name."""
        return [_view(one) for one in await site.run(operators.list_all, operator)]

    @api.post("", status_code=201, responses=_MAY_CONFLICT)
    async def add_operator(body: NewOperator, operator: Operator = owner) -> Invitation:
        """Add an operator, who chooses a password through the one-time link."""
        return _invitation(*await site.run(operators.add, operator, body.name, role=body.role))

    @api.get("/{operator_id}", responses=_MAY_MISS)
    async def get_operator(operator_id: UUID, operator: Operator = owner) -> OperatorView:
        """Read one operator."""
        return _view(await site.run(operators.get, operator, operator_id))

    @api.patch("/{operator_id}", responses=_MAY_MISS | _MAY_CONFLICT)
    async def change_operator(operator_id: UUID, body: OperatorChange, operator: Operator = owner) -> OperatorView:
        """Change a role; disable an operator, or enable them again."""
        return _view(await site.run(operators.change, operator, operator_id, role=body.role, disabled=body.disabled))

    @api.post("/{operator_id}/link", status_code=201, responses=_MAY_MISS | _MAY_CONFLICT)
    async def make_link(operator_id: UUID, operator: Operator = owner) -> Invitation:
        """Create a new one-time link; earlier ones stop working."""
        return _invitation(*await site.run(operators.link, operator, operator_id))

    return api


def _invitation(found: Known, token: str) -> Invitation:
    return Invitation(operator=_view(found), link=f"/admin/enter?token={token}")


def _view(found: Known) -> OperatorView:
    return OperatorView(
        id=found.id,
        name=found.name,
        role=found.role,
        has_password=found.has_password,
        created_at=found.created_at,
        last_in_at=found.last_in_at,
        disabled_at=found.disabled_at,
    )
