"""Operators and everybody's API tokens, for owners. A one-time link is shown once, on the page that answers the form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from bots.admin import operators as acts
from bots.admin.acting import Operator
from bots.domain import Role
from bots.errors import Conflict
from bots.storage import operators
from bots.storage.database import unit
from bots.web.admin_site import AdminSite
from bots.web.auth import is_https

ROLES = (
    (Role.VIEWER.value, "viewer: reads everything"),
    (Role.AGENT.value, "agent: also answers people and settles what wants attention"),
    (Role.OPERATOR.value, "operator: also accounts, bots and batches"),
    (Role.OWNER.value, "owner: also operators, tokens and erasure"),
)
_ACTS = {"disable": acts.disable, "enable": acts.enable}
_DONE = {"disable": "{} is let in no more.", "enable": "{} may sign in again. Tokens stay revoked."}


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
            *(site.post(f"{one}/{name}", partial(self._act, name), role=Role.OWNER) for name in _ACTS),
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
        def read() -> tuple[list[operators.Known], list[operators.ApiToken]]:
            with unit(self._site.web) as connection:
                return operators.list_all(connection, tenant=operator.tenant_id), acts.visible_tokens(connection, operator)

        found, tokens = await self._site.do(read)
        common = {"operators": found, "tokens": tokens, "roles": ROLES, "values": values or {"role": "viewer"}, "errors": errors or {}}
        extra = {"link": None, "link_for": None, "refusal": None} | shown
        return self._site.render(request, operator, "operators.html", status=status, **common, **extra)

    async def _add(self, request: Request, operator: Operator) -> Response:
        form = await self._site.form(request)
        values = {"name": form.get("name", "").strip(), "role": form.get("role", "")}
        role = _role(values["role"])
        error = acts.name_error(values["name"])
        errors = ({"name": error} if error else {}) | ({} if role else {"role": "Choose a role."})
        if errors or role is None:
            return await self._page(request, operator, status=422, values=values, errors=errors)

        def add(connection: Connection) -> tuple[operators.Known, str]:
            return acts.add(connection, tenant=operator.tenant_id, actor=operator.name, name=values["name"], role=role)

        try:
            made, token = await self._write(add)
        except Conflict as error:
            return await self._page(request, operator, status=422, values=values, errors={"name": str(error)})
        return await self._page(request, operator, link=_address(request, token), link_for=made.name)

    async def _link(self, request: Request, operator: Operator) -> Response:
        identity: UUID = request.path_params["operator"]

        def make(connection: Connection) -> tuple[operators.Known, str]:
            return acts.link(connection, tenant=operator.tenant_id, actor=operator.name, operator=identity)

        try:
            found, token = await self._write(make)
        except Conflict as error:
            return await self._page(request, operator, status=409, refusal=str(error))
        return await self._page(request, operator, link=_address(request, token), link_for=found.name)

    async def _change_role(self, request: Request, operator: Operator) -> Response:
        form = await self._site.form(request)
        identity: UUID = request.path_params["operator"]
        role = _role(form.get("role", ""))
        if role is None:
            return await self._page(request, operator, status=422, refusal="There is no such role.")

        def change(connection: Connection) -> operators.Known:
            return acts.change_role(connection, tenant=operator.tenant_id, actor=operator.name, operator=identity, role=role)

        try:
            found = await self._write(change)
        except Conflict as error:
            return await self._page(request, operator, status=409, refusal=str(error))
        return self._on(operator, found, f"{found.name} is {found.role.value} now.")

    async def _act(self, name: str, request: Request, operator: Operator) -> Response:
        identity: UUID = request.path_params["operator"]

        def act(connection: Connection) -> operators.Known:
            return _ACTS[name](connection, tenant=operator.tenant_id, actor=operator.name, operator=identity)

        try:
            found = await self._write(act)
        except Conflict as error:
            return await self._page(request, operator, status=409, refusal=str(error))
        return self._on(operator, found, _DONE[name].format(found.name))

    async def _revoke(self, request: Request, operator: Operator) -> Response:
        token: UUID = request.path_params["token"]
        await self._write(lambda connection: acts.revoke_token(connection, operator, token))
        return self._site.see_other("/admin/operators", flash="The token opens nothing any more.")

    def _on(self, operator: Operator, changed: operators.Known, said: str) -> Response:
        """Go on where the operator may still be after the change."""
        is_owner_still = changed.id != operator.id or (changed.role is Role.OWNER and changed.disabled_at is None)
        return self._site.see_other("/admin/operators" if is_owner_still else "/admin", flash=said)

    async def _write(self, work: Callable[[Connection], Any]) -> Any:
        def write() -> Any:
            with unit(self._site.web) as connection:
                return work(connection)

        return await self._site.do(write)


def _role(word: str) -> Role | None:
    return Role(word) if word in {role.value for role in Role} else None


def _address(request: Request, token: str) -> str:
    """Where the link leads: the address that the owner's own browser uses."""
    return str(request.base_url.replace(scheme="https" if is_https(request) else "http")) + f"admin/enter?token={token}"
