"""Where an account's webhooks go: registering the address where the API can, saying what to paste where it cannot, comparing later."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from bots.admin.accounts.checks import caller
from bots.admin.accounts.offer import Check, Offer, State
from bots.channels.graph_setup import GraphSetup, Reply, app_token, is_meta
from bots.domain import ChannelKind
from bots.settings import Settings

_OBJECTS = {ChannelKind.WHATSAPP: "whatsapp_business_account", ChannelKind.MESSENGER: "page", ChannelKind.INSTAGRAM: "instagram"}
_FIELDS = {
    ChannelKind.WHATSAPP: "messages",
    ChannelKind.MESSENGER: "messages,messaging_postbacks,message_deliveries,message_reads,message_echoes,message_reactions,"
    "message_edits,standby,messaging_handovers",
    ChannelKind.INSTAGRAM: "messages,messaging_postbacks,messaging_seen,message_reactions,messaging_handover,standby",
}
_PLACES = {
    "whatsapp": "App dashboard > WhatsApp > Configuration > Webhook > Edit. Then Manage: subscribe to messages.",
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
    """Where on Meta's pages address and verify token are pasted."""
    return _PLACES["login" if channel is ChannelKind.INSTAGRAM and login_type == "login" else channel.value]


def register(offer: Offer, hook: Hook, settings: Settings, *, take_over: bool = False) -> list[Check]:
    """Tell the platform where this account's webhooks go; returns the result of each step. Meanwhile the platform verifies the address."""
    with caller(settings, offer) as graph:
        graph.app_secret = offer.app_secret
        if offer.channel is ChannelKind.WHATSAPP:
            return _register_number(graph, offer, hook)
        if offer.by_login:
            return [_subscribe(graph, offer, "me", _FIELDS[ChannelKind.INSTAGRAM], "Instagram account"), _by_hand()]
        app = _app_level(graph, offer, hook, _subscription(graph, offer), take_over=take_over)
        page = offer.external_id if offer.channel is ChannelKind.MESSENGER else offer.parent_id
        fields = _FIELDS[ChannelKind.MESSENGER] if offer.channel is ChannelKind.MESSENGER else "messages"
        return [app, _subscribe(graph, offer, page, fields, "Page")]


def compare(offer: Offer, expected: str, settings: Settings, *, number_hooks: dict[str, str] | None = None) -> tuple[Check, str]:
    """Compare where webhooks really go with where they should; returns the check and the actual address."""
    if offer.by_login:
        with caller(settings, offer) as graph:
            graph.app_secret = offer.app_secret
            reply = graph.get("me/subscribed_apps", token=offer.access_token)
        if reply.ok and reply.items("data"):
            return Check(key="hook", title="Webhook", state="ok", message="Subscribed. Only Meta's pages show the address itself."), ""
        message = f"The account is not subscribed ({reply.why})." if not reply.ok else "The account is not subscribed."
        return Check(key="hook", title="Webhook", state="bad", message=message, fix="Register the webhook again."), ""
    hooks = number_hooks or {}
    actual = str(hooks.get("phone_number") or hooks.get("whatsapp_business_account") or "")
    with caller(settings, offer) as graph:
        graph.app_secret = offer.app_secret
        if not actual:
            app = _subscription(graph, offer)
            actual = app if isinstance(app, str) else str(hooks.get("application") or "")
        owner = offer.parent_id if offer.channel is not ChannelKind.MESSENGER else offer.external_id
        apps = graph.get(f"{owner}/subscribed_apps", token=offer.access_token)
    if offer.channel is ChannelKind.WHATSAPP and not hooks.get("phone_number"):
        actual = _override(apps) or actual
    if apps.ok and not apps.items("data"):
        message = "No app is subscribed, so no webhooks will arrive."
        return Check(key="hook", title="Webhook", state="bad", message=message, fix="Register the webhook again."), actual
    if not actual:
        message = "The platform does not say where webhooks go."
        fix = "Compare the address on Meta's pages with the one above."
        return Check(key="hook", title="Webhook", state="warn", message=message, fix=fix), ""
    if actual != expected:
        # One app has one address for all its pages: any of our accounts may be the one that it names.
        same = offer.channel is not ChannelKind.WHATSAPP and actual.rsplit("/", 1)[0] == expected.rsplit("/", 1)[0]
        message = (
            "Webhooks arrive through another account of this service that has the same app." if same else "Webhooks go to another address."
        )
        fix = "" if same else "Register the webhook again, or find out who changed it."
        return Check(key="hook", title="Webhook", state="ok" if same else "bad", message=message, fix=fix), actual
    return Check(key="hook", title="Webhook", state="ok", message="Webhooks arrive here."), actual


def _register_number(graph: GraphSetup, offer: Offer, hook: Hook) -> list[Check]:
    steps: list[Check] = []
    there = _subscription(graph, offer)
    override: dict[str, str] = {}
    if isinstance(there, str) and there and there != hook.url:
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


def _app_level(graph: GraphSetup, offer: Offer, hook: Hook, there: str | None, *, take_over: bool) -> Check:
    title = "App webhook"
    if there == hook.url:
        return Check(key="app", title=title, state="ok", message="The app already sends here.")
    if isinstance(there, str) and there and not take_over:
        if there.rsplit("/", 1)[0] == hook.url.rsplit("/", 1)[0]:
            return Check(
                key="app",
                title=title,
                state="ok",
                message="The app already sends to another account of this service, which passes the webhooks on.",
            )
        message = f"The app already sends to {there}, and an app can have only one address."
        return Check(
            key="app",
            title=title,
            state="bad",
            message=message,
            fix="Register again with the option to replace the app's address, or use another app.",
        )
    body = {
        "object": _OBJECTS[offer.channel],
        "callback_url": hook.url,
        "verify_token": hook.verify_token,
        "fields": _FIELDS[offer.channel],
        "include_values": "true",
    }
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


def _subscription(graph: GraphSetup, offer: Offer) -> str | None:
    """The app's address for this channel's object; empty: it has none, None: the platform does not say."""
    reply = graph.get(f"{offer.app_id}/subscriptions", token=app_token(offer.app_id, offer.app_secret))
    if not reply.ok:
        return None
    found = [one for one in reply.items("data") if one.get("object") == _OBJECTS[offer.channel] and one.get("active", True)]
    return str(found[0].get("callback_url") or "")[:500] if found else ""


def _subscribe(graph: GraphSetup, offer: Offer, owner: str, fields: str, title: str) -> Check:
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
