"""Accounts over JSON: connect with the same checks as the wizard, look, rotate, pause, resume, remove. Secrets go in and never come out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, StringConstraints
from starlette.responses import JSONResponse, Response

from bots.admin.accounts.checks import Check, Offer
from bots.admin.accounts.connections import Connections, Standing, Unfit, days_left
from bots.admin.acting import Operator
from bots.domain import ChannelKind, Role
from bots.web.admin_site import AdminSite
from bots.web.desk import connections_of, desk_of

_MAY_MISS: dict[int | str, dict[str, Any]] = {404: {"description": "There is no such account."}}
_MAY_CONFLICT: dict[int | str, dict[str, Any]] = {409: {"description": "It is there already, or lacks what the platform wants to know."}}
_MAY_BE_UNFIT: dict[int | str, dict[str, Any]] = {422: {"description": "Not every check passed; `fields` and `checks` say which."}}

_Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
_Id = Annotated[str, StringConstraints(max_length=40, pattern=r"^[0-9]*$")]
_PhoneOrId = Annotated[str, StringConstraints(max_length=40, pattern=r"^[0-9+ ().-]*$")]
_Secret = Annotated[str, StringConstraints(max_length=2000, pattern=r"^[\x21-\x7e]*$")]


class NewAccount(BaseModel):
    """An account to check, or to connect."""

    model_config = ConfigDict(extra="forbid")

    channel: Literal["whatsapp", "messenger", "instagram"]
    #: Instagram alone: through a Facebook page, or by its own login.
    door: Literal["page", "login"] = "page"
    name: _Name
    bot: UUID
    #: Phone number id, page id or Instagram account id; Instagram's may be left out.
    external_id: _PhoneOrId = ""
    #: WhatsApp: the business account; Instagram through a page: the page.
    parent_id: _Id = ""
    app_id: _Id
    app_secret: _Secret
    access_token: _Secret


class NewSecrets(BaseModel):
    """Secrets that replace others; the app secret before stays valid beside the new one."""

    model_config = ConfigDict(extra="forbid")

    app_secret: _Secret = ""
    access_token: _Secret = ""
    #: Take the app secret before no more.
    drop_before: bool = False


class WhichBot(BaseModel):
    """The bot that is to answer."""

    model_config = ConfigDict(extra="forbid")

    bot: UUID


class Confirmation(BaseModel):
    """The account's name, typed again."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, StringConstraints(max_length=200)]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckView:
    """One thing that was looked at: `ok`, `warn`, `bad` or `wait`."""

    key: str
    title: str
    state: str
    words: str
    mend: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountView:
    """An account without its secrets."""

    id: UUID
    channel: str
    door: str
    name: str
    external_id: str
    app_id: str | None
    parent_id: str | None
    bot: UUID
    state: str
    state_reason: str | None
    #: 0: the door is closed; 2: a rotation with overlap.
    app_secrets: int
    webhook_url: str
    handshake_at: datetime | None
    first_webhook_at: datetime | None
    hops: list[CheckView]
    #: Days that the token lives on by the last look; null: for ever, or nobody looked.
    token_days_left: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectedView:
    """An account that was just connected. The verify token is told this once, and only where something is left to paste."""

    account: AccountView
    checks: list[CheckView]
    steps: list[CheckView]
    verify_token: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthView:
    """What the last look at the platform found."""

    state: str
    checks: list[dict[str, str]]
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasedView:
    """How much was erased, by table."""

    erased: dict[str, int]


def router(site: AdminSite) -> APIRouter:
    """Build the endpoints of accounts."""
    api, connections = APIRouter(prefix="/api/v1/accounts", tags=["accounts"]), connections_of(site)
    _look_and_connect(api, site, connections)
    _change(api, site, connections)
    return api


def _look_and_connect(api: APIRouter, site: AdminSite, connections: Connections) -> None:
    viewer, acting = site.may(Role.VIEWER), site.may(Role.OPERATOR)

    @api.get("")
    async def list_accounts(request: Request, operator: Operator = viewer) -> list[AccountView]:
        """List all accounts."""
        return [_view(one) for one in await site.do(partial(connections.all, desk_of(request, operator)))]

    @api.post("/check", responses=_MAY_BE_UNFIT)
    async def check_offer(request: Request, body: NewAccount, operator: Operator = acting) -> list[CheckView]:
        """Check an account against the platform without keeping anything."""
        try:
            checked = await site.do(partial(connections.check, desk_of(request, operator), _offer(body)))
        except Unfit as error:
            return _unfit(error)  # pyright: ignore[reportReturnType] - FastAPI passes a response on
        return [_check(one) for one in checked.checks]

    @api.post("", status_code=201, responses=_MAY_CONFLICT | _MAY_BE_UNFIT | {404: {"description": "There is no such bot."}})
    async def connect(request: Request, body: NewAccount, operator: Operator = acting) -> ConnectedView:
        """Check everything, connect the account, register its webhook."""
        desk = desk_of(request, operator)
        try:
            done = await site.do(partial(connections.connect, desk, _offer(body), body.bot))
        except Unfit as error:
            return _unfit(error)  # pyright: ignore[reportReturnType] - FastAPI passes a response on
        return ConnectedView(
            account=_view(await site.do(partial(connections.one, desk, done.account.id))),
            checks=[_check(one) for one in done.checks],
            steps=[_check(one) for one in done.steps],
            verify_token=done.verify_token if done.by_hand else None,
        )

    @api.get("/{account}", responses=_MAY_MISS)
    async def get_account(request: Request, account: UUID, operator: Operator = viewer) -> AccountView:
        """Read one account with its hops."""
        return _view(await site.do(partial(connections.one, desk_of(request, operator), account)))

    @api.get("/{account}/health", responses=_MAY_MISS)
    async def get_health(request: Request, account: UUID, operator: Operator = viewer) -> HealthView | None:
        """Read what the last look found; null when nobody looked."""
        standing = await site.do(partial(connections.one, desk_of(request, operator), account))
        return None if standing.setup.health is None else _health(standing.setup.health)

    @api.post("/{account}/check", responses=_MAY_MISS | _MAY_CONFLICT)
    async def look(request: Request, account: UUID, operator: Operator = acting) -> HealthView:
        """Look at the platform again."""
        return _health(await site.do(partial(connections.look, desk_of(request, operator), account)))

    @api.post("/{account}/register", responses=_MAY_MISS | _MAY_CONFLICT)
    async def register(request: Request, account: UUID, operator: Operator = acting) -> list[CheckView]:
        """Tell the platform again where webhooks go."""
        return [_check(one) for one in await site.do(partial(connections.register, desk_of(request, operator), account))]


def _change(api: APIRouter, site: AdminSite, connections: Connections) -> None:
    acting, owner = site.may(Role.OPERATOR), site.may(Role.OWNER)

    @api.post("/{account}/rotate", responses=_MAY_MISS | _MAY_CONFLICT | _MAY_BE_UNFIT)
    async def rotate(request: Request, account: UUID, body: NewSecrets, operator: Operator = acting) -> AccountView:
        """Replace secrets without downtime, or drop the app secret before."""
        desk = desk_of(request, operator)
        try:
            if body.app_secret or body.access_token or not body.drop_before:
                given = {"app_secret": body.app_secret, "access_token": body.access_token}
                await site.do(partial(connections.rotate, desk, account, **given))
        except Unfit as error:
            return _unfit(error)  # pyright: ignore[reportReturnType] - FastAPI passes a response on
        if body.drop_before:
            await site.do(partial(connections.drop_before, desk, account))
        return _view(await site.do(partial(connections.one, desk, account)))

    @api.post("/{account}/pause", responses=_MAY_MISS)
    async def pause(request: Request, account: UUID, operator: Operator = acting) -> AccountView:
        """Stop answering; messages are still taken in and kept."""
        desk = desk_of(request, operator)
        await site.do(partial(connections.set_state, desk, account, "paused"))
        return _view(await site.do(partial(connections.one, desk, account)))

    @api.post("/{account}/resume", responses=_MAY_MISS)
    async def resume(request: Request, account: UUID, operator: Operator = acting) -> AccountView:
        """Answer again."""
        desk = desk_of(request, operator)
        await site.do(partial(connections.set_state, desk, account, "active"))
        return _view(await site.do(partial(connections.one, desk, account)))

    @api.put("/{account}/bot", responses=_MAY_MISS)
    async def point(request: Request, account: UUID, body: WhichBot, operator: Operator = acting) -> AccountView:
        """Let another bot answer."""
        desk = desk_of(request, operator)
        await site.do(partial(connections.point, desk, account, body.bot))
        return _view(await site.do(partial(connections.one, desk, account)))

    @api.delete("/{account}", responses=_MAY_MISS | _MAY_BE_UNFIT)
    async def remove(request: Request, account: UUID, body: Confirmation, operator: Operator = owner) -> ErasedView:
        """Erase an account with everything that came and went over it."""
        desk = desk_of(request, operator)
        standing = await site.do(partial(connections.one, desk, account))
        if body.name != standing.account.name:
            return _unfit(Unfit({"name": "The account's name is wanted to confirm."}))  # pyright: ignore[reportReturnType]
        return ErasedView(erased=await site.do(partial(connections.remove, desk, account)))


def _offer(body: NewAccount) -> Offer:
    return Offer(
        channel=ChannelKind(body.channel),
        door=body.door if body.channel == "instagram" else "page",
        name=body.name,
        external_id=body.external_id,
        app_id=body.app_id,
        app_secret=body.app_secret,
        access_token=body.access_token,
        parent_id=body.parent_id,
    )


def _unfit(error: Unfit) -> Response:
    checks = [{"key": one.key, "title": one.title, "state": one.state, "words": one.words, "mend": one.mend} for one in error.checks]
    return JSONResponse(
        {"error": str(error), "fields": error.errors, "checks": checks}, status_code=422, headers={"Cache-Control": "no-store"}
    )


def _check(one: Check) -> CheckView:
    return CheckView(key=one.key, title=one.title, state=one.state, words=one.words, mend=one.mend)


def _health(found: dict[str, Any]) -> HealthView:
    return HealthView(state=found["state"], checks=found["checks"], facts=found["facts"])


def _view(standing: Standing) -> AccountView:
    account = standing.account
    return AccountView(
        id=account.id,
        channel=account.channel.value,
        door=account.door,
        name=account.name,
        external_id=account.external_id,
        app_id=account.app_id,
        parent_id=account.parent_id,
        bot=account.bot_id,
        state=account.state,
        state_reason=account.state_reason,
        app_secrets=len(account.app_secrets),
        webhook_url="" if account.channel is ChannelKind.CONSOLE else standing.address.url,
        handshake_at=standing.setup.handshake_at,
        first_webhook_at=standing.setup.first_webhook_at,
        hops=[_check(one) for one in standing.hops],
        token_days_left=days_left(standing.setup.health),
    )
