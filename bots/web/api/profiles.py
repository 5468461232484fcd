"""Profiles over JSON: which endpoints answer, in which order, and for which bots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.responses import Response

from bots.admin.acting import Operator
from bots.admin.bots.forms import PROFILE
from bots.admin.endpoints import profiles
from bots.admin.endpoints.forms import InvalidEndpoint
from bots.admin.endpoints.profiles import Profile
from bots.domain import Role
from bots.web.admin_site import AdminSite
from bots.web.api.endpoints import invalid

_MAY_MISS: dict[int | str, dict[str, Any]] = {404: {"description": "There is no such profile or endpoint."}}
_MAY_CONFLICT: dict[int | str, dict[str, Any]] = {409: {"description": "Somebody else changed it at the same moment."}}
_MAY_BE_INVALID: dict[int | str, dict[str, Any]] = {422: {"description": "Some values cannot be used; `fields` says why."}}

_Member = Annotated[str, StringConstraints(min_length=1, max_length=60, pattern=r"^[^\x00]*$")]
_Tier = Annotated[list[_Member], Field(min_length=1, max_length=100)]
_Named = Annotated[str, Path(max_length=60, pattern=PROFILE)]


class Order(BaseModel):
    """The endpoints of a profile: tiers, tried one after the other; the members of a tier are replicas of one another."""

    model_config = ConfigDict(extra="forbid")

    tiers: Annotated[list[_Tier], Field(max_length=100)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileView:
    """A profile. Without tiers the worker's own model answers."""

    name: str
    tiers: list[list[str]]
    #: Names of the bots that use it.
    bots: list[str]
    #: Whether a running worker serves it.
    is_alive: bool
    #: Bots that nothing answers: their conversations must not leave your servers, and every endpoint is hosted elsewhere.
    mute: list[str]


def router(site: AdminSite) -> APIRouter:
    """Build the endpoints of profiles."""
    api = APIRouter(prefix="/api/v1/profiles", tags=["profiles"])
    viewer, acting = site.may(Role.VIEWER), site.may(Role.OPERATOR)

    @api.get("")
    async def list_profiles(operator: Operator = viewer) -> list[ProfileView]:
        """List all profiles: those with endpoints, those that bots use, those that running workers serve."""
        return [_view(one) for one in (await site.run(profiles.overview, operator)).profiles]

    @api.get("/{profile}")
    async def get_profile(profile: _Named, operator: Operator = viewer) -> ProfileView:
        """Read one profile. A profile without endpoints is answered by the worker's own model."""
        return _view((await site.run(profiles.overview, operator)).profile(profile))

    @api.put("/{profile}", responses=_MAY_MISS | _MAY_CONFLICT | _MAY_BE_INVALID)
    async def put_profile(profile: _Named, body: Order, operator: Operator = acting) -> ProfileView:
        """Set the endpoints of a profile; workers use them within seconds."""
        try:
            return _view(await site.run(profiles.arrange, operator, profile, tuple(tuple(tier) for tier in body.tiers)))
        except InvalidEndpoint as error:
            return invalid(error)  # pyright: ignore[reportReturnType] - FastAPI passes a response on

    @api.delete("/{profile}", status_code=204)
    async def remove(profile: _Named, operator: Operator = acting) -> Response:
        """Remove every endpoint; then the worker's own model answers."""
        await site.run(profiles.arrange, operator, profile, ())
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
