"""What is checked before an account is connected, and again later: each value at once against Graph, in plain words with the mend."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

from bots.channels.graph import is_plain
from bots.channels.graph_setup import GraphSetup, Reply, app_token
from bots.domain import ChannelKind
from bots.settings import Settings

State = Literal["ok", "warn", "bad", "wait"]

SCOPES = {
    ("whatsapp", "page"): ("whatsapp_business_messaging", "whatsapp_business_management"),
    ("messenger", "page"): ("pages_messaging", "pages_manage_metadata"),
    ("instagram", "page"): ("instagram_basic", "instagram_manage_messages", "pages_manage_metadata"),
}
NUMBER_FIELDS = (
    "display_phone_number,verified_name,quality_rating,status,throughput,webhook_configuration,whatsapp_business_manager_messaging_limit"
)
_HOURS_48 = 48 * 3600
_PAGE_TOKEN = (
    "Ask GET /me/accounts with a long-lived user or system-user token: the answer lists each page with the page's own access_token."  # noqa: S105
)
_SYSTEM_USER = "Business settings > Users > System users > Generate token makes one that does not run out."


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at."""

    key: str
    title: str
    state: State
    words: str
    #: What to do about it.
    mend: str = ""
    #: The form's field that it is about.
    field: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What an operator says about an account."""

    channel: ChannelKind
    name: str
    external_id: str
    app_id: str = ""
    app_secret: str = field(default="", repr=False)
    access_token: str = field(default="", repr=False)
    parent_id: str = ""
    door: str = "page"

    @property
    def by_login(self) -> bool:
        """Whether it is Instagram without a Facebook page."""
        return self.channel is ChannelKind.INSTAGRAM and self.door == "login"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """All checks of an account, and what they brought to light."""

    checks: tuple[Check, ...]
    facts: dict[str, Any]
    #: The offer with what could be filled in.
    offer: Offer

    @property
    def good(self) -> bool:
        """Whether nothing speaks against connecting it."""
        return not any(check.state == "bad" for check in self.checks)

    @property
    def errors(self) -> dict[str, str]:
        """What is wrong, by the form's field."""
        found: dict[str, str] = {}
        for check in self.checks:
            if check.state == "bad" and check.field:
                found.setdefault(check.field, f"{check.words} {check.mend}".strip())
        return found


def caller(settings: Settings, offer: Offer) -> GraphSetup:
    """Return a caller of the API that this account lives on."""
    url = settings.instagram_graph_url if offer.by_login else settings.graph_url
    return GraphSetup(base_url=url, version=settings.graph_version, deadline_s=min(settings.send_deadline_s, 10.0))


def run(offer: Offer, settings: Settings, *, now: datetime | None = None) -> Checked:
    """Check everything that an account needs."""
    with caller(settings, offer) as graph:
        return _Run(graph, offer, now or datetime.now(UTC)).all()


class _Run:
    """The checks of one account, one after the other."""

    def __init__(self, graph: GraphSetup, offer: Offer, now: datetime) -> None:
        self._graph, self._offer, self._now = graph, offer, now
        self._checks: list[Check] = []
        self._facts: dict[str, Any] = {}

    def all(self) -> Checked:
        if self._version():
            if self._offer.by_login:
                self._graph.app_secret = self._offer.app_secret
            else:
                self._app_and_token()
            if not any(check.field == "access_token" and check.state == "bad" for check in self._checks):
                {ChannelKind.WHATSAPP: self._number, ChannelKind.MESSENGER: self._page}.get(self._offer.channel, self._instagram)()
        return Checked(checks=tuple(self._checks), facts=self._facts, offer=self._offer)

    def _say(self, key: str, title: str, state: State, words: str, mend: str = "", about: str = "") -> None:  # noqa: PLR0917 - one sentence in six words
        self._checks.append(Check(key=key, title=title, state=state, words=words, mend=mend, field=about))

    def _version(self) -> bool:
        title = f"Graph {self._graph.version}"
        reply = self._graph.get("me")
        if not reply.came:
            self._say(
                "graph", title, "bad", "The platform's API does not answer.", "Check this machine's way to the internet, then try again."
            )
            return False
        if "unknown path" in reply.message.lower():
            mend = "Set CHINWAG_GRAPH_VERSION to a version that lives, for instance v25.0."
            self._say("graph", title, "bad", f"The platform knows no {self._graph.version}.", mend)
            return False
        if reply.version and reply.version != self._graph.version:
            mend = f"Set CHINWAG_GRAPH_VERSION={reply.version} after reading what changed."
            self._say("graph", title, "warn", f"This version is over: {reply.version} answers in its place.", mend)
        else:
            self._say("graph", title, "ok", "The platform answers, the version is alive.")
        return True

    def _app_and_token(self) -> None:
        offer = self._offer
        reply = self._graph.get("debug_token", token=app_token(offer.app_id, offer.app_secret), input_token=offer.access_token)
        if not reply.came:
            self._say("secret", "App id and app secret", "bad", f"Could not be checked: {reply.why}.", "Try again in a moment.")
            return
        if not reply.ok and "app_id" in reply.message.lower() and "match" in reply.message.lower():
            self._graph.app_secret = offer.app_secret
            self._say("secret", "App id and app secret", "ok", "They belong together.")
            words = f"This token was made for another app than {offer.app_id}."
            self._say(
                "token",
                "Access token",
                "bad",
                words,
                "Make it with this app chosen, or give the other app's id and secret.",
                "access_token",
            )
            return
        if not reply.ok:
            self._wrong_app(reply)
            self._say("token", "Access token", "wait", "Not checked: that needs the right app id and secret.")
            return
        self._graph.app_secret = offer.app_secret
        self._say("secret", "App id and app secret", "ok", "They belong together.")
        self._token(reply)

    def _wrong_app(self, reply: Reply) -> None:
        where = "Both stand on App settings > Basic of the same app; the secret appears after Show."
        if "application" in reply.message.lower() and "secret" not in reply.message.lower():
            self._say("secret", "App id and app secret", "bad", "There is no app with this id.", where, "app_id")
        else:
            words = f"This app secret does not belong to app {self._offer.app_id}."
            self._say("secret", "App id and app secret", "bad", words, where, "app_secret")

    def _token(self, reply: Reply) -> None:
        offer, title, about = self._offer, "Access token", "access_token"
        if reply.get("data", "is_valid") is not True:
            over = "expired" in reply.text("data", "error", "message").lower() or reply.get("data", "error", "subcode") == 463
            words = "This token has run out." if over else "This token is not valid: cut off, revoked, or of another app."
            self._say("token", title, "bad", words, _PAGE_TOKEN if offer.channel is not ChannelKind.WHATSAPP else _SYSTEM_USER, about)
            return
        owner = reply.text("data", "app_id")
        if owner and owner != offer.app_id:
            words = f"This token was made for another app ({owner}), not for {offer.app_id}."
            self._say("token", title, "bad", words, "Make the token with this app chosen, or give that app's id and secret.", about)
            return
        kind = reply.text("data", "type")
        if offer.channel is not ChannelKind.WHATSAPP and kind and kind != "PAGE":
            words = f"This is a {kind.lower().replace('_', ' ')} token, not the token of a page."
            self._say("token", title, "bad", words, _PAGE_TOKEN, about)
            return
        self._expiry(reply)
        raw = reply.get("data", "scopes")
        scopes = {str(one) for one in raw} if isinstance(raw, list) else set[str]()  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        missing = [one for one in SCOPES[offer.channel.value, "page"] if one not in scopes]
        self._facts["missing_scopes"] = missing
        if missing:
            words = f"The token lacks {' and '.join(missing)}."
            self._say("scopes", "Permissions", "bad", words, "Make a new token and tick these permissions.", about)
        else:
            self._say("scopes", "Permissions", "ok", "The token may do what is needed.")

    def _expiry(self, reply: Reply) -> None:
        ends = reply.get("data", "expires_at")
        left = int(ends - self._now.timestamp()) if isinstance(ends, int) and ends > 0 else None
        self._facts["token_expires_at"] = ends if left is not None else 0
        if left is None:
            self._say("token", "Access token", "ok", "Alive, of this app, and does not run out.")
        elif left <= 0:
            self._say("token", "Access token", "bad", "This token has run out.", _SYSTEM_USER, "access_token")
        elif left < _HOURS_48:
            words = f"Alive, but it runs out in {max(left // 3600, 1)} hours."
            self._say("token", "Access token", "warn", words, _SYSTEM_USER, "access_token")
        else:
            self._say("token", "Access token", "ok", f"Alive, of this app, for {left // 86400} more days.")

    def _prove(self, reply: Reply) -> bool:
        """Read whether the platform took the app secret's proof."""
        if "proof" in reply.message.lower():
            words = "The platform refuses this app secret's proof for the token."
            self._say("proof", "App secret's proof", "bad", words, "Paste the secret of the app that the token was made for.", "app_secret")
            return False
        if reply.ok and self._graph.app_secret:
            self._say("proof", "App secret's proof", "ok", "The platform takes it (appsecret_proof).")
        return True

    def _read(self, object_id: str, fields: str) -> Reply:
        return self._graph.get(object_id, token=self._offer.access_token, fields=fields)

    def _number(self) -> None:
        offer = self._offer
        listed = self._graph.get(
            f"{offer.parent_id}/phone_numbers", token=offer.access_token, fields="id,display_phone_number,verified_name"
        )
        numbers = listed.items("data")
        if listed.ok:
            self._say("waba", "WhatsApp business account", "ok", f"The token reaches it; it has {len(numbers)} number(s).")
        else:
            mend = "It stands as WhatsApp Business Account ID on WhatsApp > API Setup; the system user needs that account as an asset."
            self._say("waba", "WhatsApp business account", "bad", f"The token does not reach this id ({listed.why}).", mend, "parent_id")
        typed = "".join(sign for sign in offer.external_id if sign.isdigit())
        meant = next((one for one in numbers if _digits(one.get("display_phone_number")) == typed and str(one.get("id")) != typed), None)
        if meant is not None or typed != offer.external_id:
            self._phone_number_pasted(str(meant.get("id")) if meant else "")
            return
        if typed == offer.parent_id:
            self._say("id", "Phone number id", "bad", "This is the business account's id.", _which(numbers), "external_id")
            return
        reply = self._read(typed, NUMBER_FIELDS)
        if not self._prove(reply):
            return
        if not reply.ok:
            mend = _which(numbers) or "It stands under the number on WhatsApp > API Setup; it is not the phone number."
            self._say("id", "Phone number id", "bad", f"The token does not reach this id ({reply.why}).", mend, "external_id")
            return
        if listed.ok and typed not in {str(one.get("id")) for one in numbers}:
            words = "This number belongs to another WhatsApp business account than the one given."
            self._say("id", "Phone number id", "bad", words, _which(numbers), "external_id")
            return
        names = {"phone": "display_phone_number", "name": "verified_name", "quality": "quality_rating", "status": "status"}
        self._facts |= {key: reply.text(name) for key, name in names.items()}
        self._facts["throughput"] = reply.text("throughput", "level")
        self._facts["limit"] = reply.text("whatsapp_business_manager_messaging_limit")
        self._facts["hooks"] = reply.get("webhook_configuration") or {}
        self._say("id", "Phone number id", "ok", f"{self._facts['phone']}, {self._facts['name']}.")
        self._standing()

    def _phone_number_pasted(self, found: str) -> None:
        words = "This is a phone number; what is asked for is its id."
        mend = (
            f"The id of this number is {found}."
            if found
            else "The id stands under the number on WhatsApp > API Setup, From > Phone number ID."
        )
        self._facts["meant_id"] = found
        self._say("id", "Phone number id", "bad", words, mend, "external_id")

    def _standing(self) -> None:
        status, quality = self._facts["status"], self._facts["quality"]
        if status and status != "CONNECTED":
            mend = "WhatsApp Manager > Phone numbers says what is missing (registration with a PIN, verification)."
            self._say("standing", "Number's standing", "warn", f"The number is {status.lower()}.", mend)
        elif quality in {"RED", "YELLOW"}:
            mend = "People block or report it. Fewer unasked messages mend that within a week."
            self._say("standing", "Number's standing", "warn", f"The number's quality is {quality.lower()}.", mend)
        else:
            self._say("standing", "Number's standing", "ok", "Connected.")

    def _page(self) -> None:
        offer = self._offer
        reply = self._read(offer.external_id, "id,name")
        if not self._prove(reply):
            return
        if not reply.ok:
            mend = "It stands on the page's About > Page transparency, and in GET /me/accounts beside the page's token."
            self._say("id", "Page", "bad", f"The token does not reach this page ({reply.why}).", mend, "external_id")
            return
        me = self._graph.get("me", token=offer.access_token, fields="id")
        if me.ok and me.text("id") != offer.external_id:
            words = "The token belongs to somebody else than this page."
            self._say("id", "Page", "bad", words, _PAGE_TOKEN, "access_token")
            return
        self._facts["name"] = reply.text("name")
        self._say("id", "Page", "ok", f"{self._facts['name']}.")

    def _instagram(self) -> None:
        offer = self._offer
        if offer.by_login:
            reply = self._read("me", "user_id,username")
            found, about = reply.text("user_id") or reply.text("id"), "access_token"
        else:
            reply = self._read(offer.parent_id, "id,name,instagram_business_account{id,username}")
            found, about = reply.text("instagram_business_account", "id"), "parent_id"
        if not self._prove(reply):
            return
        if not reply.ok:
            words = "token is not taken" if offer.by_login else "token does not reach this page"
            mend = "Instagram > API setup with Instagram login > Generate token." if offer.by_login else _PAGE_TOKEN
            self._say("id", "Instagram account", "bad", f"The {words} ({reply.why}).", mend, about)
            return
        if not found:
            mend = "Link a professional account under the page's Settings > Linked accounts, then try again."
            self._say("id", "Instagram account", "bad", "No Instagram account is linked to this page.", mend, about)
            return
        if offer.external_id and offer.external_id != found:
            words = (
                "This is not the Instagram account of that token."
                if offer.by_login
                else "Another Instagram account is linked to this page."
            )
            self._say("id", "Instagram account", "bad", words, f"Its id is {found}.", "external_id")
            self._facts["meant_id"] = found
            return
        self._offer = replace(offer, external_id=found)
        self._facts["name"] = reply.text("username") or reply.text("instagram_business_account", "username")
        self._say("id", "Instagram account", "ok", f"@{self._facts['name']}.")


def shape_errors(offer: Offer) -> dict[str, str]:
    """What can be seen to be wrong without asking anybody, by field."""
    errors: dict[str, str] = {}
    needed = {"app_id": offer.app_id, "app_secret": offer.app_secret, "access_token": offer.access_token}
    if offer.channel is not ChannelKind.INSTAGRAM:
        needed["external_id"] = offer.external_id
    if offer.channel is ChannelKind.WHATSAPP or (offer.channel is ChannelKind.INSTAGRAM and not offer.by_login):
        needed["parent_id"] = offer.parent_id
    for name, value in needed.items():
        if not value:
            errors[name] = "This is needed."
        elif name in {"app_secret", "access_token"} and not is_plain(value):
            errors[name] = "There are spaces, line breaks or letters in it that none has: copy it again."
        elif name in {"app_id", "parent_id"} and not (value.isascii() and value.isdigit()):
            errors[name] = "An id is digits only."
    phone = offer.channel is ChannelKind.WHATSAPP and set(offer.external_id) <= set("+0123456789 ()-./")
    if offer.external_id and not (offer.external_id.isascii() and offer.external_id.isdigit()) and not phone:
        errors["external_id"] = "An id is digits only."
    return errors


def _digits(value: object) -> str:
    return "".join(sign for sign in str(value or "") if sign.isdigit())


def _which(numbers: list[dict[str, Any]]) -> str:
    listed = [f"{str(one.get('id'))[:32]} for {str(one.get('display_phone_number'))[:32]}" for one in numbers[:5]]
    return f"This business account has: {', '.join(listed)}." if listed else ""
