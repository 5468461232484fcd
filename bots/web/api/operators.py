"""Operators over JSON, for owners. A one-time link is in the answer that makes it and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, TypeVar
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, StringConstraints
from sqlalchemy import Connection

from bots.admin import operators as acts
from bots.admin.acting import Operator
from bots.domain import Role
from bots.storage import operators
from bots.storage.database import unit
from bots.web.admin_site import AdminSite

T = TypeVar("T")
_Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=acts.MOST_NAME, pattern=acts.NAME)]
_MAY_MISS: dict[int | str, dict[str, Any]] = {404: {"description": "There is no such operator."}}
_MAY_CONFLICT: dict[int | str, dict[str, Any]] = {409: {"description": "The name is taken, nobody would stay owner, or they are disabled."}}


class NewOperator(BaseModel):
    """Somebody to let in."""

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
    """An operator and the path of the one-time link that lets them choose a password; it works once and for a day."""

    operator: OperatorView
    link: str


def router(site: AdminSite) -> APIRouter:  # noqa: C901 - endpoints side by side
    """Build the endpoints of operators."""
    api = APIRouter(prefix="/api/v1/operators", tags=["operators"])
    owner = site.may(Role.OWNER)

    async def do(work: Callable[[Connection], T]) -> T:
        def go() -> T:
            with unit(site.web) as connection:
                return work(connection)

        return await site.do(go)

    @api.get("")
    async def list_operators(operator: Operator = owner) -> list[OperatorView]:
        """List all operators by name."""
        return [_view(one) for one in await do(lambda connection: operators.list_all(connection, tenant=operator.tenant_id))]

    @api.post("", status_code=201, responses=_MAY_CONFLICT)
    async def add_operator(body: NewOperator, operator: Operator = owner) -> Invitation:
        """Let somebody in: they choose a password by the link."""

        def add(connection: Connection) -> Invitation:
            made, token = acts.add(connection, tenant=operator.tenant_id, actor=operator.name, name=body.name, role=body.role)
            return _invitation(made, token)

        return await do(add)

    @api.get("/{operator_id}", responses=_MAY_MISS)
    async def get_operator(operator_id: UUID, operator: Operator = owner) -> OperatorView:
        """Read one operator."""
        return _view(await do(lambda connection: operators.get(connection, tenant=operator.tenant_id, operator=operator_id)))

    @api.patch("/{operator_id}", responses=_MAY_MISS | _MAY_CONFLICT)
    async def change_operator(operator_id: UUID, body: OperatorChange, operator: Operator = owner) -> OperatorView:
        """Change a role; disable somebody, or let them in again."""

        def change(connection: Connection) -> OperatorView:
            found = operators.get(connection, tenant=operator.tenant_id, operator=operator_id)
            if body.role is not None:
                acts.change_role(connection, tenant=operator.tenant_id, actor=operator.name, operator=operator_id, role=body.role)
            if body.disabled is not None and body.disabled != (found.disabled_at is not None):
                act = acts.disable if body.disabled else acts.enable
                act(connection, tenant=operator.tenant_id, actor=operator.name, operator=operator_id)
            return _view(operators.get(connection, tenant=operator.tenant_id, operator=operator_id))

        return await do(change)

    @api.post("/{operator_id}/link", status_code=201, responses=_MAY_MISS | _MAY_CONFLICT)
    async def make_link(operator_id: UUID, operator: Operator = owner) -> Invitation:
        """Make a fresh one-time link; those before it end."""

        def make(connection: Connection) -> Invitation:
            return _invitation(*acts.link(connection, tenant=operator.tenant_id, actor=operator.name, operator=operator_id))

        return await do(make)

    return api


def _invitation(found: operators.Known, token: str) -> Invitation:
    return Invitation(operator=_view(found), link=f"/admin/enter?token={token}")


def _view(found: operators.Known) -> OperatorView:
    return OperatorView(
        id=found.id,
        name=found.name,
        role=found.role,
        has_password=found.has_password,
        created_at=found.created_at,
        last_in_at=found.last_in_at,
        disabled_at=found.disabled_at,
    )
