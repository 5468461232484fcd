"""An operator's own page: password and API tokens. A token is shown once, on the page that answers the form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from bots.admin import sign_in, tokens
from bots.admin.acting import Operator
from bots.admin.operators import name_error
from bots.admin.sign_in import LONGEST_PASSWORD, SHORTEST_PASSWORD, password_errors
from bots.domain import Role
from bots.web.admin_site import AdminSite
from bots.web.auth import let_in
from bots.web.limits import Bucket

_TRIES, _PER_S = 10, 300.0


class MePages:
    """The endpoints of the page."""

    def __init__(self, site: AdminSite) -> None:
        self._site = site
        #: Wrong current passwords: a session left open must not be a way to guess them.
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
        roles = [(role.value, role.value) for role in Role if operator.role.includes(role)]
        own = await self._site.run(tokens.list_own, operator)
        common = {"tokens": own, "roles": roles, "shortest": SHORTEST_PASSWORD, "longest": LONGEST_PASSWORD}
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
            return await self._page(request, operator, status=429, errors={"current": "Too many failed attempts. Wait five minutes."})
        bucket.take()
        if not await self._site.run(sign_in.is_own_password, operator, current):
            return await self._page(request, operator, status=422, errors={"current": "This is not your current password."})
        bucket.give_back()
        session = await self._site.run(sign_in.change_password, operator, password)
        answer = self._site.see_other("/admin/me", flash="The password was changed. Your sessions in other browsers have ended.")
        let_in(request, answer, session)
        return answer

    async def _make_token(self, request: Request, operator: Operator) -> Response:
        form = await self._site.form(request)
        values = {"name": form.get("name", "").strip(), "role": form.get("role", "")}
        error = name_error(values["name"])
        errors = {"name": error} if error else {}
        if values["role"] not in {role.value for role in Role}:
            errors["role"] = "Choose a role."
        if errors:
            return await self._page(request, operator, status=422, values=values, errors=errors)
        token = await self._site.run(tokens.make, operator, values["name"], role=Role(values["role"]))
        return await self._page(request, operator, token=token)

    async def _revoke(self, request: Request, operator: Operator) -> Response:
        await self._site.run(tokens.revoke, operator, request.path_params["token"])
        return self._site.see_other("/admin/me", flash="The token was revoked.")
