"""A profile's page: which endpoints answer, in which order, which of them are replicas, which bots use it, and the trial of its models."""

from __future__ import annotations

from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from bots.admin.acting import Operator
from bots.admin.endpoints import profiles, trials
from bots.admin.endpoints.profiles import Profile
from bots.admin.endpoints.tiers import MOVES, Tiers
from bots.domain import Role
from bots.errors import Conflict, NotFound
from bots.web.admin_site import AdminSite
from bots.web.pages.models import about, read


class ProfilePages:
    """The endpoints of the pages."""

    def __init__(self, site: AdminSite) -> None:
        self._site = site
        self.routes = [
            site.page("/admin/models/profiles", self._find),
            site.page("/admin/models/profiles/{profile}", self._show),
            site.post("/admin/models/profiles/{profile}", self._arrange, role=Role.OPERATOR),
            site.post("/admin/models/profiles/{profile}/trial", self._try, role=Role.OPERATOR),
        ]

    async def _find(self, request: Request, operator: Operator) -> Response:
        """Lead to a profile by its name, also to one that nobody has set up yet."""
        name = request.query_params.get("name", "").strip()[:80]
        shown, tried = await read(self._site, operator)
        try:
            return self._site.see_other(f"/admin/models/profiles/{shown.profile(name).name}")
        except NotFound:
            errors = {"name": "Use lower-case letters, digits, dots, underscores and dashes, for example default."}
        values = about(self._site, shown) | {"trial_of": tried.of, "values": {"name": name}, "errors": errors}
        return self._site.render(request, operator, "models.html", status=422, **values)

    async def _show(self, request: Request, operator: Operator) -> Response:
        return await self._page(request, operator)

    async def _page(self, request: Request, operator: Operator, *, refusal: str = "") -> Response:
        shown, tried = await read(self._site, operator)
        profile = shown.profile(request.path_params["profile"])
        if "part" in request.query_params:
            return self._site.render(request, operator, "trial_part.html", profile=profile, tried=tried.of(profile))
        inside = {name for tier in profile.order for name in tier}
        rest = [(row.name, f"{row.name}: {row.model}") for row in shown.endpoints if row.name not in inside]
        values = about(self._site, shown) | {
            "profile": profile,
            "tried": tried.of(profile),
            "rest": rest,
            "refusal": refusal,
            "can": partial(_can, profile),
        }
        return self._site.render(request, operator, "profile.html", status=409 if refusal else 200, **values)

    async def _arrange(self, request: Request, operator: Operator) -> Response:
        site, form, name = self._site, await self._site.form(request), request.path_params["profile"]
        try:
            before, after = await site.run(profiles.move, operator, name, form.get("endpoint", ""), how=form.get("do", ""))
        except Conflict as error:
            return await self._page(request, operator, refusal=str(error))
        return site.see_other(f"/admin/models/profiles/{name}", flash=_told(before, after))

    async def _try(self, request: Request, operator: Operator) -> Response:
        site, form, name = self._site, await self._site.form(request), request.path_params["profile"]
        is_stop = form.get("do") == "stop"
        try:
            await site.run(trials.stop if is_stop else trials.start, operator, name)
        except Conflict as error:
            return await self._page(request, operator, refusal=str(error))
        said = (
            "Stopped. What was known before still holds." if is_stop else "Started. A worker tries the models; how far it is appears here."
        )
        return site.see_other(f"/admin/models/profiles/{name}#facts", flash=said)


def _can(profile: Profile, do: str, endpoint: str) -> bool:
    """Whether a button would change anything."""
    return MOVES[do](profile.order, endpoint) != profile.order


def _told(before: Tiers, after: Tiers) -> str:
    if before == after:
        return "Nothing changed."
    return "Saved. Workers use the new order within seconds." if after else "The profile is empty: the worker's own model answers."
