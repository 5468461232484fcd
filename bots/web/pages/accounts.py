"""Accounts: the list, and each account's page with its hops, its health, its secrets' rotation, pause and removal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from uuid import UUID

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bots.admin.accounts.checks import Check
from bots.admin.accounts.connections import Desk, Standing, Unfit, days_left
from bots.admin.accounts.webhook import place
from bots.admin.acting import Operator
from bots.domain import ChannelKind, Role
from bots.web.admin_site import AdminSite
from bots.web.desk import connections_of, desk_of


class AccountPages:
    """The endpoints of the pages."""

    def __init__(self, site: AdminSite) -> None:
        self._site, self._connections = site, connections_of(site)
        at = "/admin/accounts/{account:uuid}"
        self.routes = [
            site.page("/admin/accounts", self._list),
            site.page(at, self._show),
            site.page(f"{at}/hops.json", self._hops),
            site.post(f"{at}/look", self._look, role=Role.OPERATOR),
            site.post(f"{at}/register", self._register, role=Role.OPERATOR),
            site.post(f"{at}/ids", self._describe, role=Role.OPERATOR),
            site.post(f"{at}/verify-token", self._verify_token, role=Role.OPERATOR),
            site.post(f"{at}/practise", self._practise, role=Role.OPERATOR),
            site.post(f"{at}/bot", self._point, role=Role.OPERATOR),
            site.post(f"{at}/rotate", self._rotate, role=Role.OPERATOR),
            site.post(f"{at}/drop-before", self._drop_before, role=Role.OPERATOR),
            site.post(f"{at}/pause", partial(self._set_state, "paused"), role=Role.OPERATOR),
            site.post(f"{at}/resume", partial(self._set_state, "active"), role=Role.OPERATOR),
            site.page(f"{at}/remove", self._ask_removal, role=Role.OWNER),
            site.post(f"{at}/remove", self._remove, role=Role.OWNER),
        ]

    async def _list(self, request: Request, operator: Operator) -> Response:
        found = await self._site.do(partial(self._connections.all, desk_of(request, operator)))
        left = {one.account.id: days_left(one.setup.health) for one in found}
        return self._site.render(request, operator, "accounts.html", accounts=found, left=left)

    async def _show(self, request: Request, operator: Operator) -> Response:
        return await self._page(request, operator)

    async def _page(
        self,
        request: Request,
        operator: Operator,
        *,
        errors: dict[str, str] | None = None,
        checks: tuple[Check, ...] = (),
        steps: tuple[Check, ...] = (),
        verify_token: str = "",
        status: int = 200,
    ) -> Response:
        desk = desk_of(request, operator)
        standing = await self._site.do(partial(self._connections.one, desk, request.path_params["account"]))
        bots = await self._site.do(partial(self._connections.bots, desk))
        account = standing.account
        return self._site.render(
            request,
            operator,
            "account.html",
            status=status,
            standing=standing,
            bots=[(str(bot.id), bot.name) for bot in bots],
            values={"bot": str(account.bot_id), "app_id": account.app_id, "parent_id": account.parent_id},
            errors=errors or {},
            checks=checks,
            made=steps,
            verify_token=verify_token,
            where="" if account.channel is ChannelKind.CONSOLE else place(account.channel, account.door),
            left=days_left(standing.setup.health),
            practises=self._connections.practises,
        )

    async def _hops(self, request: Request, operator: Operator) -> Response:
        standing = await self._site.do(partial(self._connections.one, desk_of(request, operator), request.path_params["account"]))
        return JSONResponse(
            {"hops": [asdict(hop) for hop in standing.hops], "done": is_done(standing)}, headers={"Cache-Control": "no-store"}
        )

    async def _look(self, request: Request, operator: Operator) -> Response:
        return await self._do(request, operator, self._connections.look, "Looked: the card below is fresh.")

    async def _do(self, request: Request, operator: Operator, work: Callable[[Desk, UUID], object], flash: str) -> Response:
        account: UUID = request.path_params["account"]
        await self._site.do(partial(work, desk_of(request, operator), account))
        return self._site.see_other(f"/admin/accounts/{account}", flash=flash)

    async def _register(self, request: Request, operator: Operator) -> Response:
        form = await self._site.form(request)
        work = partial(self._connections.register, take_over=bool(form.get("take_over")))
        steps = await self._site.do(partial(work, desk_of(request, operator), request.path_params["account"]))
        return await self._page(request, operator, steps=steps)

    async def _describe(self, request: Request, operator: Operator) -> Response:
        form = await self._site.form(request)
        ids = {name: form.get(name, "").strip()[:40] for name in ("app_id", "parent_id")}
        try:
            return await self._do(request, operator, partial(self._connections.describe, **ids), "Saved.")
        except Unfit as error:
            return await self._page(request, operator, errors=error.errors, status=422)

    async def _verify_token(self, request: Request, operator: Operator) -> Response:
        work = partial(self._connections.new_verify_token, desk_of(request, operator), request.path_params["account"])
        return await self._page(request, operator, verify_token=await self._site.do(work))

    async def _practise(self, request: Request, operator: Operator) -> Response:
        account: UUID = request.path_params["account"]
        went = await self._site.do(partial(self._connections.practise, desk_of(request, operator), account))
        word = "A practice person wrote." if went else "The practice platform knows no such account, or does not answer."
        return self._site.see_other(f"/admin/accounts/{account}", flash=word)

    async def _point(self, request: Request, operator: Operator) -> Response:
        form = await self._site.form(request)
        try:
            bot = UUID(form.get("bot", ""))
        except ValueError:
            return await self._page(request, operator, errors={"bot": "Choose a bot."}, status=422)
        return await self._do(
            request, operator, lambda desk, account: self._connections.point(desk, account, bot), "Another bot answers now."
        )

    async def _rotate(self, request: Request, operator: Operator) -> Response:
        form = await self._site.form(request)
        given = {name: form.get(name, "").strip()[:2000] for name in ("app_secret", "access_token")}
        try:
            return await self._do(request, operator, partial(self._connections.rotate, **given), "Rotated.")
        except Unfit as error:
            return await self._page(request, operator, errors=error.errors, checks=error.checks, status=422)

    async def _drop_before(self, request: Request, operator: Operator) -> Response:
        return await self._do(request, operator, self._connections.drop_before, "The app secret before is refused from now on.")

    async def _set_state(self, state: str, request: Request, operator: Operator) -> Response:
        said = "Paused: messages are kept, nothing is answered." if state == "paused" else "The account is active."
        return await self._do(request, operator, lambda desk, account: self._connections.set_state(desk, account, state), said)

    async def _ask_removal(self, request: Request, operator: Operator) -> Response:
        return await self._removal(request, operator)

    async def _removal(self, request: Request, operator: Operator, *, errors: dict[str, str] | None = None, typed: str = "") -> Response:
        standing = await self._site.do(partial(self._connections.one, desk_of(request, operator), request.path_params["account"]))
        status = 422 if errors else 200
        values = {"name": typed}
        return self._site.render(
            request, operator, "account_remove.html", status=status, account=standing.account, values=values, errors=errors or {}
        )

    async def _remove(self, request: Request, operator: Operator) -> Response:
        form, desk = await self._site.form(request), desk_of(request, operator)
        account: UUID = request.path_params["account"]
        standing = await self._site.do(partial(self._connections.one, desk, account))
        typed = form.get("name", "").strip()[:80]
        if typed != standing.account.name:
            return await self._removal(request, operator, errors={"name": f"Type {standing.account.name} to erase it."}, typed=typed)
        counts = await self._site.do(partial(self._connections.remove, desk, account))
        return self._site.see_other("/admin/accounts", flash=f"{standing.account.name} is erased: {erased(counts)}.")


def is_done(standing: Standing) -> bool:
    """Whether every hop is green."""
    return all(hop.state == "ok" for hop in standing.hops)


def erased(counts: dict[str, int]) -> str:
    """What was erased, in words."""
    names = {
        "conversations": "conversations",
        "contacts": "contacts",
        "inbox": "messages in",
        "outbox": "messages out",
        "memories": "memories",
    }
    return ", ".join(f"{counts.get(name, 0)} {word}" for name, word in names.items())
