"""Endpoints over JSON: connect, change, replace the key, measure again, remove. A key goes in and never comes out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.responses import JSONResponse, Response

from bots.admin.acting import Operator
from bots.admin.endpoints import endpoints, forms, status
from bots.admin.endpoints.forms import MOST_KEY, MOST_MODEL, MOST_PRICE, MOST_URL, NAME, InvalidEndpoint, Wish
from bots.domain import Role
from bots.storage.endpoints import EndpointRow
from bots.web.admin_site import AdminSite

_NO_NUL = r"^[^\x00]*$"
_MAY_MISS: dict[int | str, dict[str, Any]] = {404: {"description": "There is no such endpoint."}}
_MAY_CONFLICT: dict[int | str, dict[str, Any]] = {409: {"description": "The name is taken."}}
_MAY_BE_INVALID: dict[int | str, dict[str, Any]] = {422: {"description": "Some values cannot be used; `fields` says why."}}

_Name = Annotated[str, StringConstraints(max_length=40, pattern=NAME)]
_Url = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MOST_URL, pattern=_NO_NUL)]
_Model = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MOST_MODEL, pattern=_NO_NUL)]
_Key = Annotated[str, StringConstraints(min_length=1, max_length=MOST_KEY, pattern=r"^[\x21-\x7e]*$")]
_Usd = Annotated[float, Field(ge=0, le=MOST_PRICE, allow_inf_nan=False, description="USD per million tokens; null: not known.")]


class Endpoint(BaseModel):
    """A model server. What is left out of a change becomes the default."""

    model_config = ConfigDict(extra="forbid")

    name: _Name
    #: Base address up to and including /v1.
    url: _Url
    #: Its name on that server.
    model: _Model
    #: Whether what people write leaves your own servers.
    leaves_house: bool = True
    price_in: _Usd | None = None
    price_cached: _Usd | None = None
    price_out: _Usd | None = None
    #: A hosted endpoint that needs no key.
    no_key: bool = False
    #: Connect the model although the catalog says that it is switched off.
    retired_ok: bool = False
    #: Keep a price although it looks like one for another number of tokens; `fields` of a 422 names what was asked.
    price_as_given: bool = False


class NewEndpoint(Endpoint):
    """A model server to connect."""

    api_key: _Key | None = None


class NewKey(BaseModel):
    """A key that replaces the current one; null removes it."""

    model_config = ConfigDict(extra="forbid")

    api_key: _Key | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TraitsView:
    """What an endpoint can really do, as the probe found; null: not known."""

    context: int | None
    vision: bool | None
    json_schema: bool | None
    reasoning: bool | None
    system_role: bool | None
    roles_alternate: bool | None
    parses_tokens: bool | None
    priority: bool | None
    cache_salt: bool | None
    stream_interval: bool | None
    ranks: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointView:
    """An endpoint without its key."""

    name: str
    url: str
    model: str
    leaves_house: bool
    price_in: float | None
    price_cached: float | None
    price_out: float | None
    has_key: bool
    profiles: list[str]
    #: ok: measured; bad: it cannot be used, the notes say why; wait: not probed yet.
    state: str
    probed_at: datetime | None
    traits: TraitsView
    #: What the probe found that an operator should know, a sentence each.
    notes: list[str]
    #: What the catalog says about the model: a licence that is not granted in the EU, the day on which it is switched off.
    warnings: list[str]


def router(site: AdminSite) -> APIRouter:  # noqa: C901 - endpoints side by side
    """Build the endpoints of endpoints."""
    api = APIRouter(prefix="/api/v1/endpoints", tags=["endpoints"])
    viewer, acting = site.may(Role.VIEWER), site.may(Role.OPERATOR)

    @api.get("")
    async def list_endpoints(operator: Operator = viewer) -> list[EndpointView]:
        """List all endpoints, by name."""
        return [_view(site, row) for row in await site.run(endpoints.list_all, operator)]

    @api.post("", status_code=201, responses=_MAY_CONFLICT | _MAY_BE_INVALID)
    async def add(body: NewEndpoint, operator: Operator = acting) -> EndpointView:
        """Connect an endpoint; a worker probes it within seconds."""
        try:
            return _view(site, await site.run(endpoints.add, operator, _wish(body, body.api_key or ""), site.catalog))
        except InvalidEndpoint as error:
            return invalid(error)  # pyright: ignore[reportReturnType] - FastAPI passes a response on

    @api.get("/{name}", responses=_MAY_MISS)
    async def get_endpoint(name: str, operator: Operator = viewer) -> EndpointView:
        """Read one endpoint with the results of its probe."""
        return _view(site, await site.run(endpoints.get, operator, name))

    @api.put("/{name}", responses=_MAY_MISS | _MAY_CONFLICT | _MAY_BE_INVALID)
    async def change(name: str, body: Endpoint, operator: Operator = acting) -> EndpointView:
        """Change an endpoint. When the model or the address changes, it is probed again; when the server changes, its key is removed."""
        try:
            return _view(site, (await site.run(endpoints.change, operator, name, _wish(body), site.catalog)).row)
        except InvalidEndpoint as error:
            return invalid(error)  # pyright: ignore[reportReturnType] - FastAPI passes a response on

    @api.put("/{name}/key", responses=_MAY_MISS | _MAY_BE_INVALID)
    async def put_key(name: str, body: NewKey, operator: Operator = acting) -> EndpointView:
        """Replace the key, or remove it; a worker tries it within seconds."""
        try:
            return _view(site, await site.run(endpoints.set_key, operator, name, body.api_key))
        except InvalidEndpoint as error:
            return invalid(error)  # pyright: ignore[reportReturnType] - FastAPI passes a response on

    @api.post("/{name}/probe", status_code=202, responses=_MAY_MISS)
    async def probe(name: str, operator: Operator = acting) -> EndpointView:
        """Let a worker probe it again; `state` is `wait` until then."""
        return _view(site, await site.run(endpoints.probe, operator, name))

    @api.delete("/{name}", status_code=204, responses=_MAY_MISS)
    async def remove(name: str, operator: Operator = acting) -> Response:
        """Remove an endpoint with its key; every profile stops using it."""
        await site.run(endpoints.remove, operator, name)
        return Response(status_code=204)

    return api


def invalid(error: InvalidEndpoint) -> Response:
    """Answer values that cannot be used: why, by field."""
    return JSONResponse({"error": str(error), "fields": error.errors}, status_code=422, headers={"Cache-Control": "no-store"})


def _wish(body: Endpoint, api_key: str = "") -> Wish:
    prices = {"price_in": body.price_in, "price_cached": body.price_cached, "price_out": body.price_out}
    form = forms.checked(name=body.name, url=body.url, model=body.model, leaves_house=body.leaves_house, prices=prices)
    return Wish(form=form, api_key=api_key, no_key=body.no_key, retired_ok=body.retired_ok, price_as_given=body.price_as_given)


def _view(site: AdminSite, row: EndpointRow) -> EndpointView:
    traits = {key: row.traits.get(key) for key in TraitsView.__dataclass_fields__}
    return EndpointView(
        name=row.name,
        url=row.url,
        model=row.model,
        leaves_house=row.leaves_house,
        price_in=row.price_in,
        price_cached=row.price_cached,
        price_out=row.price_out,
        has_key=row.key is not None,
        profiles=list(row.profiles),
        state=status.status_of(row).state,
        probed_at=row.probed_at,
        traits=TraitsView(**traits),
        notes=list(row.notes),
        warnings=status.warnings(row, site.catalog, today=endpoints.today()),
    )
