"""Accounts over JSON: connect with the same checks as the wizard, check, rotate, pause, resume, remove. Secrets are never returned."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.responses import JSONResponse, Response

from bots.admin import weights
from bots.admin.accounts import changes, connections, health, rotation, status
from bots.admin.accounts.offer import AccountRejected, Check, Offer
from bots.admin.accounts.status import AccountStatus, Said
from bots.admin.acting import Operator
from bots.domain import ChannelKind, Role
from bots.web.admin_site import AdminSite, base_of

_MAY_MISS: dict[int | str, dict[str, Any]] = {404: {"description": "There is no such account."}}
_MAY_CONFLICT: dict[int | str, dict[str, Any]] = {409: {"description": "It is already connected, or lacks what the platform needs."}}
_MAY_BE_REJECTED: dict[int | str, dict[str, Any]] = {422: {"description": "Not every check passed: see `fields` and `checks`."}}

_Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
_Id = Annotated[str, StringConstraints(max_length=40, pattern=r"^[0-9]*$")]
_PhoneOrId = Annotated[str, StringConstraints(max_length=40, pattern=r"^[0-9+ ().-]*$")]
_Secret = Annotated[str, StringConstraints(max_length=2000, pattern=r"^[\x21-\x7e]*$")]


class NewAccount(BaseModel):
    """An account to check, or to connect."""

    model_config = ConfigDict(extra="forbid")

    channel: Literal["whatsapp", "messenger", "instagram"]
    #: Only for Instagram: through a Facebook page, or with Instagram login.
    login_type: Literal["page", "login"] = "page"
    name: _Name
    bot: UUID
    #: Phone number id, page id or Instagram account id; optional for Instagram.
    external_id: _PhoneOrId = ""
    #: WhatsApp: the business account; Instagram through a page: the page.
    parent_id: _Id = ""
    app_id: _Id
    app_secret: _Secret
    access_token: _Secret


class NewSecrets(BaseModel):
    """New secrets; the previous app secret is still accepted."""

    model_config = ConfigDict(extra="forbid")

    app_secret: _Secret = ""
    access_token: _Secret = ""
    #: Stop accepting the previous app secret.
    drop_before: bool = False


class WhichBot(BaseModel):
    """The bot that answers from now on."""

    model_config = ConfigDict(extra="forbid")

    bot: UUID


class Groups(BaseModel):
    """Whether the bot answers in groups, where it is spoken to."""

    model_config = ConfigDict(extra="forbid")

    answers: bool


class NewWeight(BaseModel):
    """Its share where more people wait than there are slots: 3 gets three times what 1 gets."""

    model_config = ConfigDict(extra="forbid")

    weight: Annotated[float, Field(ge=weights.LEAST, le=weights.MOST, allow_inf_nan=False)]


class Confirmation(BaseModel):
    """The account's name, to confirm."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, StringConstraints(max_length=200)]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckView:
    """The result of one check: `ok`, `warn`, `bad` or `wait`."""

    key: str
    title: str
    state: str
    message: str
    fix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TroubleView:
    """What is wrong in words, and how to fix it."""

    message: str
    fix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeView:
    """The newest notice of the platform about one topic."""

    id: UUID
    reason: str
    message: str
    fix: str
    times: int
    at: datetime
    #: Whether it is on the attention page.
    is_open: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountView:
    """An account without its secrets."""

    id: UUID
    channel: str
    login_type: str
    name: str
    external_id: str
    app_id: str | None
    parent_id: str | None
    bot: UUID
    state: str
    state_reason: str | None
    #: Why nothing is sent, and what to do about it, where the account is parked or slowed down.
    trouble: TroubleView | None
    slow_until: datetime | None
    #: What the platform reported about it, the newest first; empty in the list of accounts.
    notices: list[NoticeView]
    #: 0: every webhook is refused; 2: during a rotation both are accepted.
    app_secrets: int
    webhook_url: str
    handshake_at: datetime | None
    first_webhook_at: datetime | None
    setup_steps: list[CheckView]
    #: Days until the token expires, by the last check; null: it does not expire, or was not checked.
    token_days_left: int | None
    #: Its share of the slots beside the tenant's other accounts, and how many people wait for an answer now, counted to 1,000.
    weight: float
    answers_groups: bool
    waiting: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectedView:
    """An account that was just connected. The verify token is returned only here, and only if it has to be pasted."""

    account: AccountView
    checks: list[CheckView]
    steps: list[CheckView]
    verify_token: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthView:
    """What the last check of the platform found."""

    state: str
    checks: list[dict[str, str]]
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasedView:
    """How much was erased, by table."""

    erased: dict[str, int]


def router(site: AdminSite) -> APIRouter:
    """Build the endpoints of accounts."""
    api = APIRouter(prefix="/api/v1/accounts", tags=["accounts"])
    _read_and_connect(api, site)
    _register(api, site)
    _change(api, site)
    _assign(api, site)
    _groups(api, site)
    return api


def _read_and_connect(api: APIRouter, site: AdminSite) -> None:
    viewer, acting = site.may(Role.VIEWER), site.may(Role.OPERATOR)
    view = _viewer(site)

    @api.get("")
    async def list_accounts(request: Request, operator: Operator = viewer) -> list[AccountView]:
        """List all accounts."""
        return [_view(one) for one in await site.run(status.list_all, operator, base=base_of(request))]

    @api.post("/check", responses=_MAY_BE_REJECTED)
    async def check_offer(body: NewAccount, operator: Operator = acting) -> list[CheckView]:
        """Check an account against the platform without storing anything."""
        try:
            checked = await site.run(connections.check, operator, _offer(body))
        except AccountRejected as error:
            return _rejected(error)  # pyright: ignore[reportReturnType] - FastAPI passes a response on
        return [_check(one) for one in checked.checks]

    @api.post("", status_code=201, responses=_MAY_CONFLICT | _MAY_BE_REJECTED | {404: {"description": "There is no such bot."}})
    async def connect(request: Request, body: NewAccount, operator: Operator = acting) -> ConnectedView:
        """Check everything, connect the account, register its webhook."""
        try:
            done = await site.run(connections.connect, operator, _offer(body), body.bot, base=base_of(request))
        except AccountRejected as error:
            return _rejected(error)  # pyright: ignore[reportReturnType] - FastAPI passes a response on
        return ConnectedView(
            account=await view(request, operator, done.account.id),
            checks=[_check(one) for one in done.checks],
            steps=[_check(one) for one in done.steps],
            verify_token=done.verify_token if done.by_hand else None,
        )

    @api.get("/{account}", responses=_MAY_MISS)
    async def get_account(request: Request, account: UUID, operator: Operator = viewer) -> AccountView:
        """Read one account with the steps of its set-up."""
        return await view(request, operator, account)

    @api.get("/{account}/health", responses=_MAY_MISS)
    async def get_health(account: UUID, operator: Operator = viewer) -> HealthView | None:
        """Read what the last check found; null if there was none."""
        found = await site.run(status.get, operator, account)
        return None if found.setup.health is None else _health(found.setup.health)

    @api.post("/{account}/check", responses=_MAY_MISS | _MAY_CONFLICT)
    async def check_health(request: Request, account: UUID, operator: Operator = acting) -> HealthView:
        """Ask the platform about the account again."""
        return _health(await site.run(health.check, operator, account, base=base_of(request)))


def _register(api: APIRouter, site: AdminSite) -> None:
    acting = site.may(Role.OPERATOR)

    @api.post("/{account}/register", responses=_MAY_MISS | _MAY_CONFLICT)
    async def register(request: Request, account: UUID, operator: Operator = acting) -> list[CheckView]:
        """Tell the platform again where webhooks go."""
        return [_check(one) for one in await site.run(connections.register, operator, account, base=base_of(request))]

    @api.post("/{account}/subscribe", responses=_MAY_MISS | _MAY_CONFLICT)
    async def subscribe(request: Request, account: UUID, operator: Operator = acting) -> list[CheckView]:
        """Subscribe to every webhook field that is read here."""
        return [_check(one) for one in await site.run(connections.subscribe, operator, account, base=base_of(request))]


def _change(api: APIRouter, site: AdminSite) -> None:
    acting, owner = site.may(Role.OPERATOR), site.may(Role.OWNER)
    view = _viewer(site)

    @api.post("/{account}/rotate", responses=_MAY_MISS | _MAY_CONFLICT | _MAY_BE_REJECTED)
    async def rotate(request: Request, account: UUID, body: NewSecrets, operator: Operator = acting) -> AccountView:
        """Replace secrets without downtime, or stop accepting the previous app secret."""
        try:
            if body.app_secret or body.access_token or not body.drop_before:
                await site.run(rotation.rotate, operator, account, app_secret=body.app_secret, access_token=body.access_token)
        except AccountRejected as error:
            return _rejected(error)  # pyright: ignore[reportReturnType] - FastAPI passes a response on
        if body.drop_before:
            await site.run(rotation.drop_previous_secret, operator, account)
        return await view(request, operator, account)

    @api.post("/{account}/pause", responses=_MAY_MISS)
    async def pause(request: Request, account: UUID, operator: Operator = acting) -> AccountView:
        """Stop answering; messages are still stored."""
        await site.run(changes.pause, operator, account)
        return await view(request, operator, account)

    @api.post("/{account}/resume", responses=_MAY_MISS)
    async def resume(request: Request, account: UUID, operator: Operator = acting) -> AccountView:
        """Answer again."""
        await site.run(changes.resume, operator, account)
        return await view(request, operator, account)

    @api.delete("/{account}", responses=_MAY_MISS | _MAY_BE_REJECTED)
    async def remove(account: UUID, body: Confirmation, operator: Operator = owner) -> ErasedView:
        """Erase an account with everything that was received and sent through it."""
        found = await site.run(status.get, operator, account)
        if body.name != found.account.name:
            return _rejected(AccountRejected({"name": "Send the account's name to confirm."}))  # pyright: ignore[reportReturnType]
        return ErasedView(erased=await site.run(changes.remove, operator, account))


def _assign(api: APIRouter, site: AdminSite) -> None:
    acting = site.may(Role.OPERATOR)
    view = _viewer(site)

    @api.put("/{account}/bot", responses=_MAY_MISS)
    async def assign_bot(request: Request, account: UUID, body: WhichBot, operator: Operator = acting) -> AccountView:
        """Let another bot answer."""
        await site.run(changes.assign_bot, operator, account, body.bot)
        return await view(request, operator, account)

    @api.put("/{account}/weight", responses=_MAY_MISS)
    async def set_weight(request: Request, account: UUID, body: NewWeight, operator: Operator = acting) -> AccountView:
        """Give it more or less of the slots than other accounts get, where more people wait than there are slots."""
        await site.run(weights.set_account, operator, account, body.weight)
        return await view(request, operator, account)


def _groups(api: APIRouter, site: AdminSite) -> None:
    acting = site.may(Role.OPERATOR)
    view = _viewer(site)

    @api.put("/{account}/groups", responses=_MAY_MISS)
    async def set_groups(request: Request, account: UUID, body: Groups, operator: Operator = acting) -> AccountView:
        """Answer in groups where the bot is spoken to, or not."""
        await site.run(changes.set_answers_groups, operator, account, answers=body.answers)
        return await view(request, operator, account)


def _viewer(site: AdminSite) -> Callable[[Request, Operator, UUID], Awaitable[AccountView]]:
    async def view(request: Request, operator: Operator, account: UUID) -> AccountView:
        return _view(await site.run(status.get, operator, account, base=base_of(request)))

    return view


def _offer(body: NewAccount) -> Offer:
    return Offer(
        channel=ChannelKind(body.channel),
        login_type=body.login_type if body.channel == "instagram" else "page",
        name=body.name,
        external_id=body.external_id,
        app_id=body.app_id,
        app_secret=body.app_secret,
        access_token=body.access_token,
        parent_id=body.parent_id,
    )


def _rejected(error: AccountRejected) -> Response:
    checks = [{"key": one.key, "title": one.title, "state": one.state, "message": one.message, "fix": one.fix} for one in error.checks]
    return JSONResponse(
        {"error": str(error), "fields": error.errors, "checks": checks}, status_code=422, headers={"Cache-Control": "no-store"}
    )


def _check(one: Check) -> CheckView:
    return CheckView(key=one.key, title=one.title, state=one.state, message=one.message, fix=one.fix)


def _health(found: dict[str, Any]) -> HealthView:
    return HealthView(state=found["state"], checks=found["checks"], facts=found["facts"])


def _notice(one: Said) -> NoticeView:
    notice = one.notice
    return NoticeView(
        id=notice.id,
        reason=notice.reason,
        message=one.reason.message,
        fix=one.reason.fix,
        times=notice.times,
        at=notice.at,
        is_open=notice.is_open,
    )


def _view(found: AccountStatus) -> AccountView:
    account = found.account
    return AccountView(
        id=account.id,
        channel=account.channel.value,
        login_type=account.login_type,
        name=account.name,
        external_id=account.external_id,
        app_id=account.app_id,
        parent_id=account.parent_id,
        bot=account.bot_id,
        state=account.state,
        state_reason=account.state_reason,
        trouble=None if found.trouble is None else TroubleView(message=found.trouble.message, fix=found.trouble.fix),
        slow_until=account.slow_until,
        notices=[_notice(one) for one in found.said],
        app_secrets=len(account.app_secrets),
        webhook_url="" if account.channel is ChannelKind.CONSOLE else found.address.url,
        handshake_at=found.setup.handshake_at,
        first_webhook_at=found.setup.first_webhook_at,
        setup_steps=[_check(one) for one in found.setup_steps],
        token_days_left=health.days_left(found.setup.health),
        weight=found.setup.weight,
        answers_groups=account.answers_groups,
        waiting=found.setup.people,
    )
