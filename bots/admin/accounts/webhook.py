"""Where an account's webhooks go: registering the address where the API can, saying what to paste where it cannot, comparing later."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from bots.admin.accounts import subscription
from bots.admin.accounts.checks import caller
from bots.admin.accounts.offer import Check, Offer, State
from bots.admin.accounts.subscription import FIELDS, AppSubscription
from bots.channels.graph_setup import GraphSetup, Reply, app_token, is_meta
from bots.domain import ChannelKind
from bots.settings import Settings

_PLACES = {
    "whatsapp": "App dashboard > WhatsApp > Configuration > Webhook > Edit. Then Manage: subscribe to "
    f"{', '.join(FIELDS[ChannelKind.WHATSAPP])}.",
    "messenger": "App dashboard > Messenger > Messenger API settings > Configure webhooks. Then subscribe the page to messages, "
    "messaging_postbacks, message_deliveries, message_reads and message_echoes.",
    "instagram": "App dashboard > Webhooks > choose Instagram > Subscribe to this object. Then subscribe to messages, "
    "messaging_postbacks and messaging_seen.",
    "login": "App dashboard > Instagram > API setup with Instagram login > Configure webhooks. Then subscribe to messages, "
    "messaging_postbacks and messaging_seen.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """The address that the platform is to send webhooks to, and whether it will work."""

    url: str
    state: State
    message: str
    fix: str = ""

    @property
    def usable(self) -> bool:
        """Whether the platform can reach it, as far as the address itself shows."""
        return self.state == "ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """An account's webhook: the address, and the token for the handshake."""

    url: str
    verify_token: str = field(repr=False)


def address(settings: Settings, base: str, channel: ChannelKind, name: str) -> Address:
    """Return an account's webhook address below the public address, or below the one that the page was opened at."""
    root = (settings.public_url or base).rstrip("/")
    url = f"{root}/webhooks/{channel.value}/{name}"
    practice = not is_meta(settings.graph_url)
    parts = urlsplit(root)
    host = (parts.hostname or "").lower()
    if practice and parts.scheme in {"http", "https"} and host:
        plain = " Meta itself requires https and a public name." if parts.scheme == "http" else ""
        return Address(url=url, state="ok", message=f"Practice: the practice platform can reach it.{plain}")
    if parts.scheme != "https" or not host:
        fix = "Put a proxy with a certificate in front of the webhook port and set CHINWAG_PUBLIC_URL=https://your-name."
        return Address(url=url, state="bad", message="The platform sends webhooks only to https addresses.", fix=fix)
    if _is_private(host):
        fix = "Set CHINWAG_PUBLIC_URL to this service's public name."
        return Address(url=url, state="bad", message=f"{host} can be reached only on this machine or in this network.", fix=fix)
    return Address(url=url, state="ok", message="https, with a public name.")


def place(channel: ChannelKind, login_type: str) -> str:
    """Where to paste address and verify token on Meta's pages."""
    return _PLACES["login" if channel is ChannelKind.INSTAGRAM and login_type == "login" else channel.value]


def register(offer: Offer, hook: Hook, settings: Settings, *, take_over: bool = False) -> list[Check]:
    """Register this account's webhooks with the platform, which verifies the address during the call; returns the result of each step."""
    with caller(settings, offer) as graph:
        graph.app_secret = offer.app_secret
        if offer.channel is ChannelKind.WHATSAPP:
            return _register_number(graph, offer, hook)
        if offer.by_login:
            return [_subscribe(graph, offer), _by_hand()]
        app = _app_level(graph, offer, hook, subscription.read(graph, offer), take_over=take_over)
        return [app, _subscribe(graph, offer)]


def subscribe(offer: Offer, hook: Hook, settings: Settings, hook_at: Callable[[str], Hook | None]) -> list[Check]:
    """Subscribe to every field that is read here, and leave the app's address as it is; `hook_at` finds the account that has another address here."""
    with caller(settings, offer) as graph:
        graph.app_secret = offer.app_secret
        if offer.by_login:
            return [_subscribe(graph, offer)]
        there = subscription.read(graph, offer)
        steps = [] if offer.channel is ChannelKind.WHATSAPP else [_subscribe(graph, offer)]
        at = hook if there is None or there.url in ("", hook.url) else hook_at(there.url)
        if at is None or there is None or not there.url:
            message = (
                "The app sends to an address that is not of this service." if at is None else "The app has no address for webhooks yet."
            )
            fix = f"Set the fields by hand: {place(offer.channel, offer.login_type)}" if at is None else "Register the webhook first."
            return [*steps, Check(key="app", title="App webhook", state="bad", message=message, fix=fix)]
        return [*steps, _set_app(graph, offer, at, there)]


def compare(
    offer: Offer, expected: str, settings: Settings, *, number_hooks: dict[str, str] | None = None
) -> tuple[Check, str, tuple[str, ...] | None]:
    """Compare where webhooks really go with where they should; returns the check, the actual address, and the fields that are not subscribed to, if known."""
    if offer.by_login:
        with caller(settings, offer) as graph:
            graph.app_secret = offer.app_secret
            reply = graph.get("me/subscribed_apps", token=offer.access_token)
        if reply.ok and reply.items("data"):
            have = subscription.names(reply.items("data"))
            lacks = tuple(name for name in FIELDS[offer.channel] if name not in have)
            return (
                Check(key="hook", title="Webhook", state="ok", message="Subscribed. Only Meta's pages show the address itself."),
                "",
                lacks,
            )
        message = f"The account is not subscribed ({reply.why})." if not reply.ok else "The account is not subscribed."
        return Check(key="hook", title="Webhook", state="bad", message=message, fix="Register the webhook again."), "", None
    hooks = number_hooks or {}
    actual = str(hooks.get("phone_number") or hooks.get("whatsapp_business_account") or "")
    with caller(settings, offer) as graph:
        graph.app_secret = offer.app_secret
        there = subscription.read(graph, offer)
        if not actual:
            actual = there.url if there is not None else str(hooks.get("application") or "")
        owner = offer.parent_id if offer.channel is not ChannelKind.MESSENGER else offer.external_id
        apps = graph.get(f"{owner}/subscribed_apps", token=offer.access_token)
    lacks = None if there is None else subscription.missing(offer, there, apps.items("data"))
    if offer.channel is ChannelKind.WHATSAPP and not hooks.get("phone_number"):
        actual = _override(apps) or actual
    if apps.ok and not apps.items("data"):
        message = "No app is subscribed, so no webhooks will arrive."
        return Check(key="hook", title="Webhook", state="bad", message=message, fix="Register the webhook again."), actual, None
    if not actual:
        message = "The platform does not say where webhooks go."
        fix = "Compare the address on Meta's pages with the one above."
        return Check(key="hook", title="Webhook", state="warn", message=message, fix=fix), "", lacks
    if actual != expected:
        # One app has one address for all its pages: it may name any of our accounts.
        same = offer.channel is not ChannelKind.WHATSAPP and actual.rsplit("/", 1)[0] == expected.rsplit("/", 1)[0]
        message = (
            "Webhooks arrive through another account of this service that has the same app." if same else "Webhooks go to another address."
        )
        fix = "" if same else "Register the webhook again, or find out who changed it."
        return Check(key="hook", title="Webhook", state="ok" if same else "bad", message=message, fix=fix), actual, lacks
    return Check(key="hook", title="Webhook", state="ok", message="Webhooks arrive here."), actual, lacks


def _register_number(graph: GraphSetup, offer: Offer, hook: Hook) -> list[Check]:
    steps: list[Check] = []
    there = subscription.read(graph, offer)
    override: dict[str, str] = {}
    if there is not None and there.url and there.url != hook.url:
        # The app's own address stays for its other accounts; this business account gets its own.
        override = {"override_callback_uri": hook.url, "verify_token": hook.verify_token}
        steps.append(
            Check(key="app", title="App webhook", state="ok", message="The app keeps its address; this business account has its own.")
        )
    else:
        steps.append(_app_level(graph, offer, hook, there, take_over=True))
    reply = graph.post(f"{offer.parent_id}/subscribed_apps", token=offer.access_token, body=override)
    title = "Business account subscription"
    if reply.ok:
        steps.append(Check(key="subscribed", title=title, state="ok", message="The app receives the messages of this business account."))
    else:
        fix = "Paste the address and the verify token on WhatsApp > Configuration, and give the system user full control of the account."
        steps.append(Check(key="subscribed", title=title, state="bad", message=f"The platform refused ({reply.why}).", fix=fix))
    return steps


def _app_level(graph: GraphSetup, offer: Offer, hook: Hook, there: AppSubscription | None, *, take_over: bool) -> Check:
    title = "App webhook"
    if there is not None and there.url == hook.url and set(FIELDS[offer.channel]) <= set(there.fields):
        return Check(key="app", title=title, state="ok", message="The app already sends here.")
    if there is not None and there.url not in ("", hook.url) and not take_over:
        if there.url.rsplit("/", 1)[0] == hook.url.rsplit("/", 1)[0]:
            return Check(
                key="app",
                title=title,
                state="ok",
                message="The app already sends to another account of this service, which passes the webhooks on.",
            )
        message = f"The app already sends to {there.url}, and an app can have only one address."
        return Check(
            key="app",
            title=title,
            state="bad",
            message=message,
            fix="Register again with the option to replace the app's address, or use another app.",
        )
    return _set_app(graph, offer, hook, there)


def _set_app(graph: GraphSetup, offer: Offer, hook: Hook, there: AppSubscription | None) -> Check:
    title, body = "App webhook", subscription.body(offer, there, url=hook.url, verify_token=hook.verify_token)
    reply = graph.post(f"{offer.app_id}/subscriptions", token=app_token(offer.app_id, offer.app_secret), body=body)
    if reply.ok:
        return Check(key="app", title=title, state="ok", message="Registered, and the platform has verified the address.")
    return _refused(reply, offer, title)


def _refused(reply: Reply, offer: Offer, title: str) -> Check:
    message = f"The platform did not accept the address ({reply.why})."
    told = reply.message.lower()
    if "url" in told or "callback" in told or reply.code == 2200:
        fix = "It called the address and did not get the expected answer. Check that the address can be reached from outside and that the proxy forwards /webhooks."
    else:
        fix = f"Set it by hand: {place(offer.channel, offer.login_type)}"
    return Check(key="app", title=title, state="bad", message=message, fix=fix)


def _subscribe(graph: GraphSetup, offer: Offer) -> Check:
    """Subscribe a page, or an Instagram account with its own login, to its fields."""
    owner = "me" if offer.by_login else offer.external_id if offer.channel is ChannelKind.MESSENGER else offer.parent_id
    # A linked Instagram account's fields are the app's; its page needs any one.
    fields = "messages" if offer.channel is ChannelKind.INSTAGRAM and not offer.by_login else ",".join(FIELDS[offer.channel])
    title = "Instagram account" if offer.by_login else "Page"
    reply = graph.ask("POST", f"{owner}/subscribed_apps", token=offer.access_token, query={"subscribed_fields": fields}, body={})
    if reply.ok:
        return Check(key="subscribed", title=f"{title} subscription", state="ok", message="The app receives its messages.")
    fix = f"Set it by hand: {place(offer.channel, offer.login_type)}"
    message = f"The platform refused ({reply.why})."
    return Check(key="subscribed", title=f"{title} subscription", state="bad", message=message, fix=fix)


def _by_hand() -> Check:
    message = "With Instagram login the address can only be set on Meta's pages."
    return Check(key="app", title="App webhook", state="bad", message=message, fix="Paste the address and the verify token there, once.")


def _override(apps: Reply) -> str:
    found = [str(one.get("override_callback_uri") or "") for one in apps.items("data")]
    return next((one for one in found if one), "")


def _is_private(host: str) -> bool:
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal", ".lan", ".test", ".invalid")):
        return True
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host
