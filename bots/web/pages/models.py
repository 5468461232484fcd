"""The pages of models: all endpoints and profiles, connecting an endpoint, and each endpoint with what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from bots.admin.acting import Operator
from bots.admin.endpoints import endpoints, forms, presets, profiles, status, trials
from bots.admin.endpoints.forms import InvalidEndpoint
from bots.admin.endpoints.profiles import Overview
from bots.admin.endpoints.trials import Trials
from bots.domain import Role
from bots.errors import NameTaken
from bots.storage.endpoints import EndpointRow
from bots.web.admin_site import AdminSite

_MOST_TYPED = 2100
#: What the page of all models fetches anew while it is open.
_PARTS = {"endpoints": "models_part.html", "profiles": "profiles_part.html"}


class ModelPages:
    """The endpoints of the pages."""

    def __init__(self, site: AdminSite) -> None:
        self._site = site
        at = "/admin/models/endpoints/{name}"
        self.routes = [
            site.page("/admin/models", self._list),
            site.page("/admin/models/new", self._new, role=Role.OPERATOR),
            site.post("/admin/models/new", self._add, role=Role.OPERATOR),
            site.page(at, self._show),
            site.post(at, self._change, role=Role.OPERATOR),
            site.post(f"{at}/key", self._set_key, role=Role.OPERATOR),
            site.post(f"{at}/probe", self._probe, role=Role.OPERATOR),
            site.page(f"{at}/remove", self._ask_removal, role=Role.OPERATOR),
            site.post(f"{at}/remove", self._remove, role=Role.OPERATOR),
        ]

    async def _list(self, request: Request, operator: Operator) -> Response:
        template = _PARTS.get(request.query_params.get("part", ""), "models.html")
        shown, tried = await read(self._site, operator)
        return self._site.render(request, operator, template, **about(self._site, shown), trial_of=tried.of, values={}, errors={})

    async def _new(self, request: Request, operator: Operator) -> Response:
        chosen = presets.preset(self._site.catalog, request.query_params.get("preset", ""))
        return self._new_page(request, operator, chosen, _begun(chosen), {})

    def _new_page(
        self, request: Request, operator: Operator, chosen: presets.Preset | None, values: Mapping[str, str], errors: Mapping[str, str]
    ) -> Response:
        catalog, today = self._site.catalog, endpoints.today()
        url, model = values.get("url", ""), values.get("model", "")
        leaves = bool(values.get("leaves_house"))
        over = presets.ended(catalog, model, today=today, url=url) if leaves else ""
        ending = presets.ending(catalog, model, today=today, url=url) if leaves and not over else ""
        return self._site.render(
            request,
            operator,
            "endpoint_new.html",
            status=422 if errors else 200,
            presets=[(one.key, one.title, _is_over(one, today)) for one in presets.presets(catalog)],
            chosen=chosen,
            over=over,
            notices=[message for message in (over, ending, presets.licence(catalog, model)) if message],
            instead=presets.instead_of(catalog, model) if over else None,
            values=values,
            errors=errors,
        )

    async def _add(self, request: Request, operator: Operator) -> Response:
        site, form = self._site, await self._site.form(request)
        try:
            row = await site.run(endpoints.add, operator, forms.read(form), site.catalog)
        except InvalidEndpoint as error:
            errors = error.errors
        except NameTaken as error:
            errors = {"name": str(error)}
        else:
            return site.see_other(f"/admin/models/endpoints/{row.name}", flash="Connected. A worker is probing it now.")
        chosen = presets.preset(site.catalog, form.get("preset", ""))
        return self._new_page(request, operator, chosen, _typed(form), errors)

    async def _show(self, request: Request, operator: Operator) -> Response:
        if "part" in request.query_params:
            shown, row = await self._read(request, operator)
            return self._site.render(request, operator, "endpoint_part.html", row=row, **about(self._site, shown))
        return await self._page(request, operator)

    async def _page(
        self, request: Request, operator: Operator, *, values: Mapping[str, str] | None = None, errors: Mapping[str, str] | None = None
    ) -> Response:
        shown, row = await self._read(request, operator)
        return self._site.render(
            request,
            operator,
            "endpoint.html",
            status=422 if errors else 200,
            row=row,
            values=values or forms.typed_of(row),
            errors=errors or {},
            **about(self._site, shown),
        )

    async def _read(self, request: Request, operator: Operator) -> tuple[Overview, EndpointRow]:
        shown = await self._site.run(profiles.overview, operator)
        return shown, shown.endpoint(request.path_params["name"])

    async def _change(self, request: Request, operator: Operator) -> Response:
        site, form, name = self._site, await self._site.form(request), request.path_params["name"]
        try:
            changed = await site.run(endpoints.change, operator, name, forms.read(form), site.catalog)
        except InvalidEndpoint as error:
            return await self._page(request, operator, values=_typed(form), errors=error.errors)
        except NameTaken as error:
            return await self._page(request, operator, values=_typed(form), errors={"name": str(error)})
        flash = "Saved. The address is on another server, so the key was removed: enter it again." if changed.lost_key else "Saved."
        return site.see_other(f"/admin/models/endpoints/{changed.row.name}", flash=flash)

    async def _set_key(self, request: Request, operator: Operator) -> Response:
        site, form, name = self._site, await self._site.form(request), request.path_params["name"]
        api_key = None if form.get("then") == "remove" else form.get("api_key", "")[:_MOST_TYPED]
        try:
            await site.run(endpoints.set_key, operator, name, api_key)
        except InvalidEndpoint as error:
            return await self._page(request, operator, errors=error.errors)
        said = "The key was removed." if api_key is None else "The key was replaced; a worker is trying it now."
        return site.see_other(f"/admin/models/endpoints/{name}", flash=said)

    async def _probe(self, request: Request, operator: Operator) -> Response:
        site, name = self._site, request.path_params["name"]
        await site.run(endpoints.probe, operator, name)
        return site.see_other(f"/admin/models/endpoints/{name}", flash="A worker is probing it now.")

    async def _ask_removal(self, request: Request, operator: Operator) -> Response:
        shown, row = await self._read(request, operator)
        using = [one for one in shown.profiles if one.name in row.profiles]
        return self._site.render(request, operator, "endpoint_remove.html", row=row, using=using)

    async def _remove(self, request: Request, operator: Operator) -> Response:
        site, name = self._site, request.path_params["name"]
        await site.run(endpoints.remove, operator, name)
        return site.see_other("/admin/models", flash=f"{name} was removed.")


async def read(site: AdminSite, operator: Operator) -> tuple[Overview, Trials]:
    """All endpoints and profiles, and the trials of their models."""
    return await site.run(profiles.overview, operator), await site.run(trials.overview, operator)


def about(site: AdminSite, shown: Overview) -> dict[str, Any]:
    """What the templates show of endpoints and profiles."""
    today = endpoints.today()
    warnings = {row.name: status.warnings(row, site.catalog, today=today) for row in shown.endpoints}
    known: dict[str, list[str]] = {}
    for name, found in warnings.items():
        for message in found:
            known.setdefault(message, []).append(name)
    return {
        "shown": shown,
        "status_of": status.status_of,
        "host": status.host,
        "facts": status.facts,
        "warnings": warnings,
        #: The same, each warning once with the names of the endpoints.
        "known": list(known.items()),
    }


def _begun(chosen: presets.Preset | None) -> dict[str, str]:
    """The values that a form begins with."""
    if chosen is None:
        return {"leaves_house": "on"}
    offer = chosen.offer
    prices = {} if offer is None else {"price_in": offer.tokens_in, "price_cached": offer.tokens_cached, "price_out": offer.tokens_out}
    values = {"name": chosen.name, "url": chosen.url, "model": chosen.model, "leaves_house": "on" if chosen.leaves_house else ""}
    return values | {key: forms.typed_price(usd) for key, usd in prices.items()}


def _is_over(one: presets.Preset, today: date) -> bool:
    retired = (one.offer.retired_on if one.offer else None) or one.row.retired_on
    return retired is not None and retired <= today


def _typed(form: Mapping[str, str]) -> dict[str, str]:
    """What was typed, without the key, which is not sent back."""
    return {key: value for key, value in form.items() if key not in {"csrf", "api_key"}}
