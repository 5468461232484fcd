"""One's own page: password and API tokens. A token is shown once, on the page that answers the form."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from bots.admin import operators as acts
from bots.admin.acting import Operator
from bots.domain import Role
from bots.storage import operators
from bots.storage.database import hot, unit
from bots.web.admin_site import AdminSite
from bots.web.auth import let_in
from bots.web.limits import Bucket
from bots.web.pages.sign_in import LONGEST_PASSWORD, SHORTEST_PASSWORD, password_errors

_TRIES, _PER_S = 10, 300.0


class MePages:
    """The endpoints of the page."""

    def __init__(self, site: AdminSite) -> None:
        self._site = site
        #: Wrong current passwords: a session left open must not serve to guess.
        self._wrong: dict[UUID, Bucket] = {}
        self.routes = [
            site.page("/admin/me", self._show),
            site.post("/admin/me/password", self._change, role=Role.VIEWER),
            site.post("/admin/me/tokens", self._make_token, role=Role.VIEWER),
            site.post("/admin/me/tokens/{token:uuid}/revoke", self._revoke, role=Role.VIEWER),
        ]

    async def _show(self, request: Request, operator: Operator) -> Response:
        return await self._page(request, operator)

    async def _page(
        self,
        request: Request,
        operator: Operator,
        *,
        status: int = 200,
        values: Mapping[str, str] | None = None,
        errors: Mapping[str, str] | None = None,
        **shown: Any,
    ) -> Response:
        def read() -> list[operators.ApiToken]:
            with hot(self._site.web) as connection:
                return operators.list_tokens(connection, tenant=operator.tenant_id, operator=operator.id)

        roles = [(role.value, role.value) for role in Role if operator.role.includes(role)]
        common = {"tokens": await self._site.do(read), "roles": roles, "shortest": SHORTEST_PASSWORD, "longest": LONGEST_PASSWORD}
        filled = {"values": values or {"role": "viewer"}, "errors": errors or {}, "token": None} | shown
        return self._site.render(request, operator, "me.html", status=status, **common, **filled)

    async def _change(self, request: Request, operator: Operator) -> Response:
        form = await self._site.form(request)
        current, password = form.get("current", "")[:LONGEST_PASSWORD], form.get("password", "")
        errors = password_errors(password, form.get("again", ""))
        if errors:
            return await self._page(request, operator, status=422, errors=errors)
        bucket = self._wrong.setdefault(operator.id, Bucket(tries=_TRIES, per_s=_PER_S))
        if bucket.is_empty:
            return await self._page(request, operator, status=429, errors={"current": "Too many wrong tries. Wait five minutes."})
        bucket.take()
        if not await self._site.do(partial(acts.is_own_password, self._site.web, operator, current)):
            return await self._page(request, operator, status=422, errors={"current": "This is not your password."})
        bucket.give_back()
        session = await self._site.do(partial(acts.change_password, self._site.web, operator, password))
        answer = self._site.see_other("/admin/me", flash="The password is changed. Your sessions elsewhere have ended.")
        let_in(request, answer, session)
        return answer

    async def _make_token(self, request: Request, operator: Operator) -> Response:
        form = await self._site.form(request)
        values = {"name": form.get("name", "").strip(), "role": form.get("role", "")}
        error = acts.name_error(values["name"])
        errors = {"name": error} if error else {}
        if values["role"] not in {role.value for role in Role}:
            errors["role"] = "Choose a role."
        if errors:
            return await self._page(request, operator, status=422, values=values, errors=errors)

        def make() -> str:
            with unit(self._site.web) as connection:
                return acts.make_token(connection, operator, name=values["name"], role=Role(values["role"]))

        return await self._page(request, operator, token=await self._site.do(make))

    async def _revoke(self, request: Request, operator: Operator) -> Response:
        token: UUID = request.path_params["token"]

        def revoke() -> None:
            with unit(self._site.web) as connection:
                acts.revoke_token(connection, operator, token)

        await self._site.do(revoke)
        return self._site.see_other("/admin/me", flash="The token opens nothing any more.")
