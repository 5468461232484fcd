"""Accounts: the list, and each account's page with its set-up, its health, rotation of its secrets, pause and removal."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from uuid import UUID

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bots.admin import weights
from bots.admin.accounts import changes, connections, health, rotation, status
from bots.admin.accounts.offer import AccountRejected, Check
from bots.admin.accounts.webhook import place
from bots.admin.acting import Operator
from bots.admin.bots import editor
from bots.domain import ChannelKind, Role
from bots.web.admin_site import AdminSite, base_of


class AccountPages:
    """The endpoints of the pages."""

    def __init__(self, site: AdminSite) -> None:
        self._site = site
        at = "/admin/accounts/{account:uuid}"
        self.routes = [
            site.page("/admin/accounts", self._list),
            site.page(at, self._show),
            site.page(f"{at}/setup_steps.json", self._setup_steps),
            site.post(f"{at}/look", self._check, role=Role.OPERATOR),
            site.post(f"{at}/register", self._register, role=Role.OPERATOR),
            site.post(f"{at}/subscribe", self._subscribe, role=Role.OPERATOR),
            site.post(f"{at}/ids", self._set_ids, role=Role.OPERATOR),
            site.post(f"{at}/verify-token", self._verify_token, role=Role.OPERATOR),
            site.post(f"{at}/practise", self._practise, role=Role.OPERATOR),
            site.post(f"{at}/bot", self._assign_bot, role=Role.OPERATOR),
            site.post(f"{at}/weight", self._weigh, role=Role.OPERATOR),
            site.post(f"{at}/groups", self._set_groups, role=Role.OPERATOR),
            site.post(f"{at}/rotate", self._rotate, role=Role.OPERATOR),
            site.post(f"{at}/drop-before", self._drop_previous_secret, role=Role.OPERATOR),
            site.post(f"{at}/pause", self._pause, role=Role.OPERATOR),
            site.post(f"{at}/resume", self._resume, role=Role.OPERATOR),
            site.page(f"{at}/remove", self._ask_removal, role=Role.OWNER),
            site.post(f"{at}/remove", self._remove, role=Role.OWNER),
        ]

    async def _list(self, request: Request, operator: Operator) -> Response:
        found = await self._site.run(status.list_all, operator, base=base_of(request))
        left = {one.account.id: health.days_left(one.setup.health) for one in found}
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
        weight: str = "",
        code: int = 200,
    ) -> Response:
        found = await self._site.run(status.get, operator, _account(request), base=base_of(request))
        bots = await self._site.run(editor.list_all, operator)
        account = found.account
        return self._site.render(
            request,
            operator,
            "account.html",
            status=code,
            found=found,
            bots=[(str(line.bot.id), line.bot.name) for line in bots],
            values={
                "bot": str(account.bot_id),
                "app_id": account.app_id,
                "parent_id": account.parent_id,
                "weight": weight or f"{found.setup.weight:g}",
                "answers_groups": account.answers_groups,
            },
            errors=errors or {},
            checks=checks,
            registered=steps,
            verify_token=verify_token,
            where="" if account.channel is ChannelKind.CONSOLE else place(account.channel, account.login_type),
            left=health.days_left(found.setup.health),
            is_practice=status.is_practice(self._site.deps),
        )

    async def _setup_steps(self, request: Request, operator: Operator) -> Response:
        found = await self._site.run(status.get, operator, _account(request), base=base_of(request))
        return JSONResponse(
            {"setup_steps": [asdict(step) for step in found.setup_steps], "done": found.is_done}, headers={"Cache-Control": "no-store"}
        )

    async def _check(self, request: Request, operator: Operator) -> Response:
        await self._site.run(health.check, operator, _account(request), base=base_of(request))
        return self._back(request, "Checked just now.")

    async def _register(self, request: Request, operator: Operator) -> Response:
        take_over = bool((await self._site.form(request)).get("take_over"))
        steps = await self._site.run(connections.register, operator, _account(request), base=base_of(request), take_over=take_over)
        return await self._page(request, operator, steps=steps)

    async def _subscribe(self, request: Request, operator: Operator) -> Response:
        steps = await self._site.run(connections.subscribe, operator, _account(request), base=base_of(request))
        return await self._page(request, operator, steps=steps)

    async def _set_ids(self, request: Request, operator: Operator) -> Response:
        form = await self._site.form(request)
        app_id, parent_id = (form.get(name, "").strip()[:40] for name in ("app_id", "parent_id"))
        try:
            await self._site.run(changes.set_ids, operator, _account(request), app_id=app_id, parent_id=parent_id)
        except AccountRejected as error:
            return await self._page(request, operator, errors=error.errors, code=422)
        return self._back(request, "Saved.")

    async def _verify_token(self, request: Request, operator: Operator) -> Response:
        made = await self._site.run(rotation.new_verify_token, operator, _account(request))
        return await self._page(request, operator, verify_token=made)

    async def _practise(self, request: Request, operator: Operator) -> Response:
        went = await self._site.run(changes.send_practice_message, operator, _account(request))
        return self._back(
            request, "A practice message was sent." if went else "The practice platform does not have this account, or does not answer."
        )

    async def _assign_bot(self, request: Request, operator: Operator) -> Response:
        form = await self._site.form(request)
        try:
            bot = UUID(form.get("bot", ""))
        except ValueError:
            return await self._page(request, operator, errors={"bot": "Choose a bot."}, code=422)
        await self._site.run(changes.assign_bot, operator, _account(request), bot)
        return self._back(request, "The account is now answered by another bot.")

    async def _weigh(self, request: Request, operator: Operator) -> Response:
        typed = (await self._site.form(request)).get("weight", "").strip()[:20]
        try:
            await self._site.run(weights.set_account, operator, _account(request), weights.read(typed))
        except weights.BadWeight as error:
            return await self._page(request, operator, errors={"weight": str(error)}, weight=typed, code=422)
        return self._back(request, "Saved. The weight counts from the next answer on.")

    async def _set_groups(self, request: Request, operator: Operator) -> Response:
        answers = bool((await self._site.form(request)).get("answers_groups"))
        await self._site.run(changes.set_answers_groups, operator, _account(request), answers=answers)
        return self._back(request, "Groups are answered where the bot is spoken to." if answers else "Groups are not answered.")

    async def _rotate(self, request: Request, operator: Operator) -> Response:
        form = await self._site.form(request)
        app_secret, access_token = (form.get(name, "").strip()[:2000] for name in ("app_secret", "access_token"))
        try:
            await self._site.run(rotation.rotate, operator, _account(request), app_secret=app_secret, access_token=access_token)
        except AccountRejected as error:
            return await self._page(request, operator, errors=error.errors, checks=error.checks, code=422)
        return self._back(request, "Rotated.")

    async def _drop_previous_secret(self, request: Request, operator: Operator) -> Response:
        await self._site.run(rotation.drop_previous_secret, operator, _account(request))
        return self._back(request, "The previous app secret is no longer accepted.")

    async def _pause(self, request: Request, operator: Operator) -> Response:
        await self._site.run(changes.pause, operator, _account(request))
        return self._back(request, "Paused: messages are stored, but not answered.")

    async def _resume(self, request: Request, operator: Operator) -> Response:
        await self._site.run(changes.resume, operator, _account(request))
        return self._back(request, "The account is active.")

    async def _ask_removal(self, request: Request, operator: Operator) -> Response:
        return await self._removal(request, operator)

    async def _removal(self, request: Request, operator: Operator, *, errors: dict[str, str] | None = None, typed: str = "") -> Response:
        found = await self._site.run(status.get, operator, _account(request))
        render = partial(self._site.render, request, operator, "account_remove.html", status=422 if errors else 200)
        return render(account=found.account, values={"name": typed}, errors=errors or {})

    async def _remove(self, request: Request, operator: Operator) -> Response:
        form, account = await self._site.form(request), _account(request)
        name = (await self._site.run(status.get, operator, account)).account.name
        typed = form.get("name", "").strip()[:80]
        if typed != name:
            return await self._removal(request, operator, errors={"name": f"Type {name} to erase it."}, typed=typed)
        counts = await self._site.run(changes.remove, operator, account)
        return self._site.see_other("/admin/accounts", flash=f"{name} was erased: {erased(counts)}.")

    def _back(self, request: Request, flash: str) -> Response:
        return self._site.see_other(f"/admin/accounts/{_account(request)}", flash=flash)


def _account(request: Request) -> UUID:
    return request.path_params["account"]


def erased(counts: dict[str, int]) -> str:
    """Say what was erased."""
    names = {
        "conversations": "conversations",
        "contacts": "contacts",
        "inbox": "messages received",
        "outbox": "messages sent",
        "memories": "memories",
    }
    return ", ".join(f"{counts.get(name, 0)} {title}" for name, title in names.items())
