"""API tokens over JSON. Only somebody signed in makes and revokes them: a leaked token must not make others."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, StringConstraints
from starlette.requests import Request
from starlette.responses import Response

from bots.admin import tokens
from bots.admin.acting import Operator
from bots.admin.operators import MOST_NAME, NAME
from bots.domain import Role
from bots.storage.operators import ApiToken
from bots.web.admin_site import AdminSite, Refused

_Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MOST_NAME, pattern=NAME)]


class NewToken(BaseModel):
    """A token to create for yourself."""

    model_config = ConfigDict(extra="forbid")

    name: _Name
    #: No higher than your own.
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
            raise Refused(403, "Only somebody who is signed in can create and revoke tokens; a token cannot.")
        return operator

    signed_in: Operator = Depends(in_person)

    @api.get("")
    async def list_tokens(operator: Operator = viewer) -> list[TokenView]:
        """List your own API tokens; an owner sees everybody's."""
        return [_view(one) for one in await site.run(tokens.list_revocable, operator)]

    @api.post("", status_code=201)
    async def make_token(body: NewToken, operator: Operator = signed_in) -> MadeToken:
        """Create an API token for yourself."""
        return MadeToken(token=await site.run(tokens.make, operator, body.name, role=body.role), role=body.role)

    @api.delete("/{token}", status_code=204, responses={404: {"description": "There is no such token."}})
    async def revoke_token(token: UUID, operator: Operator = signed_in) -> Response:
        """Revoke one of your tokens; an owner can revoke anybody's."""
        await site.run(tokens.revoke, operator, token)
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
