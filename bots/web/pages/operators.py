"""Operators and everybody's API tokens, for owners. A one-time link is shown once, on the page that answers the form."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from bots.admin import operators, tokens
from bots.admin.acting import Operator
from bots.domain import Role
from bots.errors import Conflict
from bots.storage.operators import Known
from bots.web.admin_site import AdminSite
from bots.web.auth import is_https

ROLES = (
    (Role.VIEWER.value, "viewer: reads everything"),
    (Role.AGENT.value, "agent: also answers people and handles what needs attention"),
    (Role.OPERATOR.value, "operator: also manages accounts, bots, batches and models"),
    (Role.OWNER.value, "owner: also manages operators and tokens, and erases data"),
)
_DONE = {"disable": "{} can no longer sign in.", "enable": "{} can sign in again. Tokens stay revoked."}


class OperatorPages:
    """The endpoints of the page."""

    def __init__(self, site: AdminSite) -> None:
        self._site = site
        one = "/admin/operators/{operator:uuid}"
        self.routes = [
            site.page("/admin/operators", self._list, role=Role.OWNER),
            site.post("/admin/operators", self._add, role=Role.OWNER),
            site.post(f"{one}/role", self._change_role, role=Role.OWNER),
            site.post(f"{one}/link", self._link, role=Role.OWNER),
            *(site.post(f"{one}/{name}", partial(self._act, name), role=Role.OWNER) for name in _DONE),
            site.post("/admin/operators/tokens/{token:uuid}/revoke", self._revoke, role=Role.OWNER),
        ]

    async def _list(self, request: Request, operator: Operator) -> Response:
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
        found = await self._site.run(operators.list_all, operator)
        every_token = await self._site.run(tokens.list_revocable, operator)
        common = {"operators": found, "tokens": every_token, "roles": ROLES, "values": values or {"role": "viewer"}, "errors": errors or {}}
        extra = {"link": None, "link_for": None, "refusal": None} | shown
        return self._site.render(request, operator, "operators.html", status=status, **common, **extra)

    async def _add(self, request: Request, operator: Operator) -> Response:
        form = await self._site.form(request)
        values = {"name": form.get("name", "").strip(), "role": form.get("role", "")}
        role = _role(values["role"])
        error = operators.name_error(values["name"])
        errors = ({"name": error} if error else {}) | ({} if role else {"role": "Choose a role."})
        if errors or role is None:
            return await self._page(request, operator, status=422, values=values, errors=errors)

        try:
            made, token = await self._site.run(operators.add, operator, values["name"], role=role)
        except Conflict as error:
            return await self._page(request, operator, status=422, values=values, errors={"name": str(error)})
        return await self._page(request, operator, link=_address(request, token), link_for=made.name)

    async def _link(self, request: Request, operator: Operator) -> Response:
        try:
            found, token = await self._site.run(operators.link, operator, request.path_params["operator"])
        except Conflict as error:
            return await self._page(request, operator, status=409, refusal=str(error))
        return await self._page(request, operator, link=_address(request, token), link_for=found.name)

    async def _change_role(self, request: Request, operator: Operator) -> Response:
        form = await self._site.form(request)
        role = _role(form.get("role", ""))
        if role is None:
            return await self._page(request, operator, status=422, refusal="There is no such role.")

        try:
            found = await self._site.run(operators.change, operator, request.path_params["operator"], role=role)
        except Conflict as error:
            return await self._page(request, operator, status=409, refusal=str(error))
        return self._on(operator, found, f"The role of {found.name} is now {found.role.value}.")

    async def _act(self, name: str, request: Request, operator: Operator) -> Response:
        try:
            found = await self._site.run(operators.change, operator, request.path_params["operator"], disabled=name == "disable")
        except Conflict as error:
            return await self._page(request, operator, status=409, refusal=str(error))
        return self._on(operator, found, _DONE[name].format(found.name))

    async def _revoke(self, request: Request, operator: Operator) -> Response:
        await self._site.run(tokens.revoke, operator, request.path_params["token"])
        return self._site.see_other("/admin/operators", flash="The token was revoked.")

    def _on(self, operator: Operator, changed: Known, said: str) -> Response:
        """Go on to a page that the operator may still open after the change."""
        is_owner_still = changed.id != operator.id or (changed.role is Role.OWNER and changed.disabled_at is None)
        return self._site.see_other("/admin/operators" if is_owner_still else "/admin", flash=said)


def _role(typed: str) -> Role | None:
    return Role(typed) if typed in {role.value for role in Role} else None


def _address(request: Request, token: str) -> str:
    """Where the link leads: the address that the owner's own browser uses."""
    return str(request.base_url.replace(scheme="https" if is_https(request) else "http")) + f"admin/enter?token={token}"
