"""Endpoints over JSON: connect, change, replace the key, measure anew, remove. A key goes in and never comes out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy import Connection
from starlette.responses import JSONResponse, Response

from bots.admin.acting import Operator
from bots.admin.endpoints import endpoints as models
from bots.admin.endpoints import forms as endpoint_forms
from bots.admin.endpoints import status as endpoint_words
from bots.admin.endpoints.forms import MOST_KEY, MOST_MODEL, MOST_PRICE, MOST_URL, NAME, Unfit, Wish
from bots.domain import Role
from bots.storage import endpoints
from bots.storage.database import hot, unit
from bots.storage.endpoints import EndpointRow
from bots.web.admin_site import AdminSite

_NO_NUL = r"^[^\x00]*$"
_MAY_MISS: dict[int | str, dict[str, Any]] = {404: {"description": "There is no such endpoint."}}
_MAY_CONFLICT: dict[int | str, dict[str, Any]] = {409: {"description": "The name is taken."}}
_MAY_BE_UNFIT: dict[int | str, dict[str, Any]] = {422: {"description": "What was said of it cannot be used; `fields` says why."}}

_Name = Annotated[str, StringConstraints(max_length=40, pattern=NAME)]
_Url = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MOST_URL, pattern=_NO_NUL)]
_Model = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MOST_MODEL, pattern=_NO_NUL)]
_Key = Annotated[str, StringConstraints(min_length=1, max_length=MOST_KEY, pattern=r"^[\x21-\x7e]*$")]
_Usd = Annotated[float, Field(ge=0, le=MOST_PRICE, allow_inf_nan=False, description="USD for a million tokens; null: not known.")]


class Endpoint(BaseModel):
    """A model server. What is left out of a change becomes what stands here."""

    model_config = ConfigDict(extra="forbid")

    name: _Name
    #: Base address up to and including /v1.
    url: _Url
    #: Its name on that server.
    model: _Model
    #: Whether what people write leaves the house on the way to it.
    leaves_house: bool = True
    price_in: _Usd | None = None
    price_cached: _Usd | None = None
    price_out: _Usd | None = None
    #: A hosted endpoint that asks for no key.
    no_key: bool = False
    #: A model that the catalog says is switched off.
    retired_ok: bool = False


class NewEndpoint(Endpoint):
    """A model server to connect."""

    api_key: _Key | None = None


class NewKey(BaseModel):
    """A key that takes the place of another; null takes it away."""

    model_config = ConfigDict(extra="forbid")

    api_key: _Key | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TraitsView:
    """What an endpoint really does, as the probe measured it; null: it was not measured."""

    context: int | None
    vision: bool | None
    json_schema: bool | None
    reasoning: bool | None
    system_role: bool | None
    roles_alternate: bool | None
    parses_tokens: bool | None
    priority: bool | None
    cache_salt: bool | None
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
    #: What the catalog has to say of the model: a licence that does not hold in the EU, a day on which it is switched off.
    warnings: list[str]


def router(site: AdminSite) -> APIRouter:
    """Build the endpoints of endpoints."""
    api = APIRouter(prefix="/api/v1/endpoints", tags=["endpoints"])
    _look_and_connect(api, site)
    _change(api, site)
    return api


def _look_and_connect(api: APIRouter, site: AdminSite) -> None:
    viewer, acting = site.may(Role.VIEWER), site.may(Role.OPERATOR)

    @api.get("")
    async def list_endpoints(operator: Operator = viewer) -> list[EndpointView]:
        """List all endpoints, by name."""

        def read() -> list[EndpointView]:
            with hot(site.web) as connection:
                return [_view(site, row) for row in endpoints.list_all(connection, operator.tenant_id)]

        return await site.do(read)

    @api.post("", status_code=201, responses=_MAY_CONFLICT | _MAY_BE_UNFIT)
    async def add(body: NewEndpoint, operator: Operator = acting) -> EndpointView:
        """Connect an endpoint; a worker measures it within seconds."""

        def go(connection: Connection) -> EndpointRow:
            wish = _wish(body, body.api_key or "")
            endpoint_forms.admit(wish, site.catalog, today=_today())
            return models.add(connection, site.keyring, wish, tenant=operator.tenant_id, actor=operator.name)

        return await _write(site, go)

    @api.get("/{name}", responses=_MAY_MISS)
    async def get_endpoint(name: str, operator: Operator = viewer) -> EndpointView:
        """Read one endpoint with what was measured of it."""

        def read() -> EndpointView:
            with hot(site.web) as connection:
                return _view(site, models.wanted(connection, tenant=operator.tenant_id, name=name))

        return await site.do(read)


def _change(api: APIRouter, site: AdminSite) -> None:
    acting = site.may(Role.OPERATOR)

    @api.put("/{name}", responses=_MAY_MISS | _MAY_CONFLICT | _MAY_BE_UNFIT)
    async def change(name: str, body: Endpoint, operator: Operator = acting) -> EndpointView:
        """Give an endpoint new values. Another model or address is measured anew; on another server it loses its key."""

        def go(connection: Connection) -> EndpointRow:
            wish, today = _wish(body), _today()
            return models.change(connection, wish, site.catalog, today=today, tenant=operator.tenant_id, name=name, actor=operator.name)

        return await _write(site, go)

    @api.put("/{name}/key", responses=_MAY_MISS | _MAY_BE_UNFIT)
    async def put_key(name: str, body: NewKey, operator: Operator = acting) -> EndpointView:
        """Replace the key, or take it away; a worker tries it within seconds."""

        def go(connection: Connection) -> EndpointRow:
            models.set_key(connection, site.keyring, tenant=operator.tenant_id, name=name, api_key=body.api_key, actor=operator.name)
            return models.wanted(connection, tenant=operator.tenant_id, name=name)

        return await _write(site, go)

    @api.post("/{name}/probe", status_code=202, responses=_MAY_MISS)
    async def probe(name: str, operator: Operator = acting) -> EndpointView:
        """Let a worker measure it anew; `state` is `wait` until then."""

        def go(connection: Connection) -> EndpointRow:
            models.probe(connection, tenant=operator.tenant_id, name=name, actor=operator.name)
            return models.wanted(connection, tenant=operator.tenant_id, name=name)

        return await _write(site, go)

    @api.delete("/{name}", status_code=204, responses=_MAY_MISS)
    async def remove(name: str, operator: Operator = acting) -> Response:
        """Remove an endpoint with its key, out of every profile too."""

        def go() -> None:
            with unit(site.web) as connection:
                models.remove(connection, tenant=operator.tenant_id, name=name, actor=operator.name)

        await site.do(go)
        return Response(status_code=204)


async def _write(site: AdminSite, work: Callable[[Connection], EndpointRow]) -> EndpointView:
    def go() -> EndpointView:
        with unit(site.web) as connection:
            return _view(site, work(connection))

    try:
        return await site.do(go)
    except Unfit as error:
        return unfit(error)  # pyright: ignore[reportReturnType] - FastAPI passes a response on


def unfit(error: Unfit) -> Response:
    """Answer what cannot be used: why, by field."""
    return JSONResponse({"error": str(error), "fields": error.errors}, status_code=422, headers={"Cache-Control": "no-store"})


def _wish(body: Endpoint, api_key: str = "") -> Wish:
    prices = {"price_in": body.price_in, "price_cached": body.price_cached, "price_out": body.price_out}
    form = endpoint_forms.checked(name=body.name, url=body.url, model=body.model, leaves_house=body.leaves_house, prices=prices)
    return Wish(form=form, api_key=api_key, no_key=body.no_key, retired_ok=body.retired_ok)


def _today() -> date:
    return datetime.now(UTC).date()


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
        state=endpoint_words.standing(row).state,
        probed_at=row.probed_at,
        traits=TraitsView(**traits),
        notes=list(row.notes),
        warnings=endpoint_words.warnings(row, site.catalog, today=_today()),
    )
