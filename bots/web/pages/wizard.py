"""The wizard that connects an account: choose a channel, fill in the values from Meta's pages, see every check, watch the set-up."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response

from bots.admin.accounts import connections, status
from bots.admin.accounts.offer import AccountRejected, Check, Offer
from bots.admin.accounts.webhook import place
from bots.admin.acting import Operator
from bots.admin.bots import editor
from bots.domain import ChannelKind, Role
from bots.errors import Conflict, NotFound
from bots.web import marks
from bots.web.admin_site import AdminSite, base_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One value of the form and where it is found."""

    name: str
    label: str
    hint: str
    secret: bool = False
    required: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One choice of the wizard."""

    key: str
    title: str
    description: str
    channel: ChannelKind
    login_type: str
    fields: tuple[Field, ...]


_APP = Field(name="app_id", label="App id", hint="App dashboard > App settings > Basic, at the top.")
_SECRET = Field(name="app_secret", label="App secret", secret=True, hint="App dashboard > App settings > Basic > App secret > Show.")
_PAGE_TOKEN = (
    "App dashboard > Messenger > Messenger API settings > Generate access tokens > Generate, next to the page. "  # noqa: S105 - no secret
    "Permissions: "
)
KINDS = {
    kind.key: kind
    for kind in (
        Kind(
            key="whatsapp",
            title="WhatsApp",
            description="A number on the WhatsApp Cloud API.",
            channel=ChannelKind.WHATSAPP,
            login_type="page",
            fields=(
                _APP,
                _SECRET,
                Field(
                    name="external_id",
                    label="Phone number id",
                    hint="App dashboard > WhatsApp > API Setup > From, below the number. Digits only; it is not the phone number itself.",
                ),
                Field(
                    name="parent_id",
                    label="WhatsApp business account id",
                    hint="App dashboard > WhatsApp > API Setup, next to the phone number id.",
                ),
                Field(
                    name="access_token",
                    label="Access token",
                    secret=True,
                    hint="Business settings > Users > System users > Generate token, with whatsapp_business_messaging and "
                    "whatsapp_business_management. The one on API Setup is valid for one day.",
                ),
            ),
        ),
        Kind(
            key="messenger",
            title="Messenger",
            description="A Facebook page.",
            channel=ChannelKind.MESSENGER,
            login_type="page",
            fields=(
                _APP,
                _SECRET,
                Field(name="external_id", label="Page id", hint="On the page: About > Page transparency. Digits only."),
                Field(
                    name="access_token",
                    label="Page access token",
                    secret=True,
                    hint=_PAGE_TOKEN + "pages_messaging, pages_manage_metadata.",
                ),
            ),
        ),
        Kind(
            key="instagram",
            title="Instagram, through a Facebook page",
            description="A professional account that is linked to a page.",
            channel=ChannelKind.INSTAGRAM,
            login_type="page",
            fields=(
                _APP,
                _SECRET,
                Field(name="parent_id", label="Page id", hint="On the page that the account is linked to: About > Page transparency."),
                Field(
                    name="external_id",
                    label="Instagram account id",
                    hint="If you leave it empty, it is read from the page.",
                    required=False,
                ),
                Field(
                    name="access_token",
                    label="Page access token",
                    secret=True,
                    hint=_PAGE_TOKEN + "instagram_basic, instagram_manage_messages, pages_manage_metadata.",
                ),
            ),
        ),
        Kind(
            key="instagram_login",
            title="Instagram login",
            description="A professional account without a Facebook page.",
            channel=ChannelKind.INSTAGRAM,
            login_type="login",
            fields=(
                Field(
                    name="app_id", label="Instagram app id", hint="App dashboard > Instagram > API setup with Instagram login, at the top."
                ),
                Field(
                    name="app_secret",
                    label="Instagram app secret",
                    secret=True,
                    hint="On the same page, below the id. It is not the secret under App settings > Basic.",
                ),
                Field(
                    name="external_id",
                    label="Instagram account id",
                    hint="If you leave it empty, it is read with the token.",
                    required=False,
                ),
                Field(
                    name="access_token",
                    label="Access token",
                    secret=True,
                    hint="On the same page > Generate access tokens. It is valid for 60 days.",
                ),
            ),
        ),
    )
}


class WizardPages:
    """The wizard's endpoints."""

    def __init__(self, site: AdminSite) -> None:
        self._site = site
        self.routes = [
            site.page("/admin/accounts/connect", self._choose, role=Role.OPERATOR),
            site.page("/admin/accounts/connect/{kind}", self._ask, role=Role.OPERATOR),
            site.post("/admin/accounts/connect/{kind}", self._connect, role=Role.OPERATOR),
        ]

    async def _choose(self, request: Request, operator: Operator) -> Response:
        return self._site.render(request, operator, "connect.html", kinds=KINDS.values(), is_practice=status.is_practice(self._site.deps))

    async def _ask(self, request: Request, operator: Operator) -> Response:
        kind = _kind(request)
        practice = "practice" in request.query_params and status.is_practice(self._site.deps)
        values, secrets = {"name": ""}, dict[str, str]()
        if practice:
            world = await self._site.run(status.practice_world, operator) or {}
            given = world.get(kind.key)
            told = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
            found = {one.name: str(told.get(one.name, "")) for one in kind.fields}
            secrets = {one.name: found[one.name] for one in kind.fields if one.secret and found[one.name]}
            values = {
                **{name: value for name, value in found.items() if name not in secrets},
                "name": f"practice-{kind.key.replace('_', '-')}",
            }
        return await self._form(request, operator, kind, values=values, secrets=secrets, practice=practice)

    async def _form(
        self,
        request: Request,
        operator: Operator,
        kind: Kind,
        *,
        values: dict[str, str],
        errors: dict[str, str] | None = None,
        checks: tuple[Check, ...] = (),
        code: int = 200,
        **more: Any,
    ) -> Response:
        bots = await self._site.run(editor.list_all, operator)
        given: dict[str, Any] = {"secrets": dict[str, str](), "practice": False, **more}
        return self._site.render(
            request,
            operator,
            "connect_form.html",
            status=code,
            kind=kind,
            bots=[(str(line.bot.id), line.bot.name) for line in bots],
            values=values,
            errors=errors or {},
            checks=checks,
            **given,
        )

    async def _connect(self, request: Request, operator: Operator) -> Response:
        kind, form = _kind(request), await self._site.form(request)
        given = {one.name: form.get(one.name, "").strip()[:2000] for one in kind.fields}
        name, bot = form.get("name", "").strip()[:80], marks.identity(form.get("bot", ""))
        kept = {one.name: given[one.name] for one in kind.fields if not one.secret} | {"name": name, "bot": form.get("bot", "")}
        offer = Offer(
            channel=kind.channel,
            login_type=kind.login_type,
            name=name,
            external_id=given.get("external_id", ""),
            app_id=given["app_id"],
            app_secret=given["app_secret"],
            access_token=given["access_token"],
            parent_id=given.get("parent_id", ""),
        )
        again = partial(self._form, request, operator, kind, values=kept, code=422)
        if bot is None:
            return await again(errors={"bot": "Choose the bot that answers."})
        try:
            done = await self._site.run(connections.connect, operator, offer, bot, base=base_of(request))
        except AccountRejected as error:
            return await again(errors=error.errors, checks=error.checks)
        except NotFound:
            return await again(errors={"bot": "This bot no longer exists. Choose another one."})
        except Conflict as error:
            return await again(errors={"name": str(error)})
        found = await self._site.run(status.get, operator, done.account.id, base=base_of(request))
        where = place(kind.channel, kind.login_type)
        is_practice = status.is_practice(self._site.deps)
        return self._site.render(request, operator, "connect_done.html", done=done, found=found, where=where, is_practice=is_practice)


def _kind(request: Request) -> Kind:
    found = KINDS.get(request.path_params["kind"])
    if found is None:
        raise NotFound("There is no such channel.")
    return found
