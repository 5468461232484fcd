"""Profiles over JSON: which endpoints answer, in which order, and who is answered by them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.responses import Response

from bots.admin.acting import Operator
from bots.admin.bots import editor
from bots.admin.endpoints import endpoints as models
from bots.admin.endpoints.endpoints import Profile
from bots.admin.endpoints.forms import Unfit
from bots.admin.endpoints.tiers import Tiers
from bots.domain import Role
from bots.storage.database import unit
from bots.web.admin_site import AdminSite
from bots.web.api.endpoints import unfit

_MAY_MISS: dict[int | str, dict[str, Any]] = {404: {"description": "There is no such profile or endpoint."}}
_MAY_CONFLICT: dict[int | str, dict[str, Any]] = {409: {"description": "Somebody else changed it at the same moment."}}
_MAY_BE_UNFIT: dict[int | str, dict[str, Any]] = {422: {"description": "What was said of it cannot be used; `fields` says why."}}

_Member = Annotated[str, StringConstraints(min_length=1, max_length=60, pattern=r"^[^\x00]*$")]
_Tier = Annotated[list[_Member], Field(min_length=1, max_length=100)]
_Named = Annotated[str, Path(max_length=60, pattern=editor.PROFILE)]


class Order(BaseModel):
    """The endpoints of a profile: tiers, tried one after the other; the members of a tier are replicas of one another."""

    model_config = ConfigDict(extra="forbid")

    tiers: Annotated[list[_Tier], Field(max_length=100)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileView:
    """A profile. Without tiers the worker's own model answers."""

    name: str
    tiers: list[list[str]]
    #: Names of the bots that are answered by it.
    bots: list[str]
    #: Whether a living worker takes its work.
    is_alive: bool
    #: Bots whose conversations stay in the house, while every endpoint is outside: nobody answers them.
    mute: list[str]


def router(site: AdminSite) -> APIRouter:
    """Build the endpoints of profiles."""
    api = APIRouter(prefix="/api/v1/profiles", tags=["profiles"])
    viewer, acting = site.may(Role.VIEWER), site.may(Role.OPERATOR)

    def arrange(operator: Operator, profile: str, order: Tiers) -> ProfileView:
        with unit(site.web) as connection:
            models.arrange(connection, order, tenant=operator.tenant_id, profile=profile, actor=operator.name)
            return _view(models.look(connection, tenant=operator.tenant_id).profile(profile))

    @api.get("")
    async def list_profiles(operator: Operator = viewer) -> list[ProfileView]:
        """List all profiles: those with endpoints, those that bots name, those that workers answer for."""

        def read() -> Sequence[Profile]:
            with unit(site.web) as connection:
                return models.look(connection, tenant=operator.tenant_id).profiles

        return [_view(one) for one in await site.do(read)]

    @api.get("/{profile}")
    async def get_profile(profile: _Named, operator: Operator = viewer) -> ProfileView:
        """Read one profile; of one that nobody described the worker's own model answers."""

        def read() -> Profile:
            with unit(site.web) as connection:
                return models.look(connection, tenant=operator.tenant_id).profile(profile)

        return _view(await site.do(read))

    @api.put("/{profile}", responses=_MAY_MISS | _MAY_CONFLICT | _MAY_BE_UNFIT)
    async def put_profile(profile: _Named, body: Order, operator: Operator = acting) -> ProfileView:
        """Make a profile of these endpoints; workers go by it within seconds."""
        order = tuple(tuple(tier) for tier in body.tiers)
        try:
            return await site.do(lambda: arrange(operator, profile, order))
        except Unfit as error:
            return unfit(error)  # pyright: ignore[reportReturnType] - FastAPI passes a response on

    @api.delete("/{profile}", status_code=204)
    async def remove(profile: _Named, operator: Operator = acting) -> Response:
        """Take every endpoint out; the worker's own model answers then."""
        await site.do(lambda: arrange(operator, profile, ()))
        return Response(status_code=204)

    return api


def _view(profile: Profile) -> ProfileView:
    return ProfileView(
        name=profile.name,
        tiers=[list(tier) for tier in profile.order],
        bots=[bot.name for bot in profile.bots],
        is_alive=profile.is_alive,
        mute=[bot.name for bot in profile.mute],
    )
