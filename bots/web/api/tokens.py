"""API tokens over JSON. They are made and revoked by somebody signed in: a token that leaked must not make others."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, StringConstraints
from starlette.requests import Request
from starlette.responses import Response

from bots.admin import operators as acts
from bots.admin.acting import Operator
from bots.domain import Role
from bots.storage.database import hot, unit
from bots.storage.operators import ApiToken
from bots.web.admin_site import AdminSite, Refused

_Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=acts.MOST_NAME, pattern=acts.NAME)]


class NewToken(BaseModel):
    """A token to make for oneself."""

    model_config = ConfigDict(extra="forbid")

    name: _Name
    #: No higher than one's own.
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeToken:
    """A new token: it is never shown again."""

    token: str
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenView:
    """A token, known by its first characters."""

    id: UUID
    operator: str
    name: str
    prefix: str
    role: Role
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


def router(site: AdminSite) -> APIRouter:
    """Build the endpoints of API tokens."""
    api = APIRouter(prefix="/api/v1/tokens", tags=["tokens"])
    viewer = site.may(Role.VIEWER)

    async def in_person(request: Request) -> Operator:
        operator = await site.acting(request, Role.VIEWER)
        if operator.by_token:
            raise Refused(403, "Tokens are made and revoked by somebody signed in, not by a token.")
        return operator

    seated: Operator = Depends(in_person)

    @api.get("")
    async def list_tokens(operator: Operator = viewer) -> list[TokenView]:
        """List your own API tokens; an owner sees all."""

        def read() -> list[ApiToken]:
            with hot(site.web) as connection:
                return acts.visible_tokens(connection, operator)

        return [_view(one) for one in await site.do(read)]

    @api.post("", status_code=201)
    async def make_token(body: NewToken, operator: Operator = seated) -> MadeToken:
        """Make an API token for yourself."""

        def make() -> str:
            with unit(site.web) as connection:
                return acts.make_token(connection, operator, name=body.name, role=body.role)

        return MadeToken(token=await site.do(make), role=body.role)

    @api.delete("/{token}", status_code=204, responses={404: {"description": "There is no such token."}})
    async def revoke_token(token: UUID, operator: Operator = seated) -> Response:
        """Revoke one of your tokens; an owner anybody's."""

        def revoke() -> None:
            with unit(site.web) as connection:
                acts.revoke_token(connection, operator, token)

        await site.do(revoke)
        return Response(status_code=204)

    return api


def _view(found: ApiToken) -> TokenView:
    return TokenView(
        id=found.id,
        operator=found.operator,
        name=found.name,
        prefix=found.prefix,
        role=found.role,
        created_at=found.created_at,
        last_used_at=found.last_used_at,
        revoked_at=found.revoked_at,
    )
