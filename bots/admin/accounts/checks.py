"""What is checked before an account is connected, and again later: each value against Graph, explained, with the fix."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from bots.admin.accounts.offer import Check, Offer, State
from bots.channels.graph_setup import GraphSetup, Reply, app_token
from bots.domain import ChannelKind
from bots.settings import Settings

SCOPES = {
    ("whatsapp", "page"): ("whatsapp_business_messaging", "whatsapp_business_management"),
    ("messenger", "page"): ("pages_messaging", "pages_manage_metadata"),
    ("instagram", "page"): ("instagram_basic", "instagram_manage_messages", "pages_manage_metadata"),
}
NUMBER_FIELDS = (
    "display_phone_number,verified_name,quality_rating,status,throughput,webhook_configuration,whatsapp_business_manager_messaging_limit"
)
_HOURS_48 = 48 * 3600
_PAGE_TOKEN = "Call GET /me/accounts with a long-lived user or system-user token. The answer lists each page with its own access_token."  # noqa: S105 - not a secret
_SYSTEM_USER = "Business settings > Users > System users > Generate token creates one that does not expire."


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """All checks of an account, and the facts that they found."""

    checks: tuple[Check, ...]
    facts: dict[str, Any]
    #: The offer with what could be filled in.
    offer: Offer

    @property
    def good(self) -> bool:
        """Whether the account can be connected."""
        return not any(check.state == "bad" for check in self.checks)

    @property
    def errors(self) -> dict[str, str]:
        """What is wrong, by the form's field."""
        found: dict[str, str] = {}
        for check in self.checks:
            if check.state == "bad" and check.field:
                found.setdefault(check.field, f"{check.message} {check.fix}".strip())
        return found


def caller(settings: Settings, offer: Offer) -> GraphSetup:
    """Return the client for the API that this account is reached by."""
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

    def _say(self, key: str, title: str, state: State, message: str, fix: str = "", about: str = "") -> None:  # noqa: PLR0917 - called some thirty times, always in this order
        self._checks.append(Check(key=key, title=title, state=state, message=message, fix=fix, field=about))

    def _version(self) -> bool:
        title = f"Graph {self._graph.version}"
        reply = self._graph.get("me")
        if not reply.came:
            self._say(
                "graph",
                title,
                "bad",
                "The platform's API does not answer.",
                "Check this machine's connection to the internet, then try again.",
            )
            return False
        if "unknown path" in reply.message.lower():
            fix = "Set CHINWAG_GRAPH_VERSION to a supported version, for instance v25.0."
            self._say("graph", title, "bad", f"The platform has no version {self._graph.version}.", fix)
            return False
        if reply.version and reply.version != self._graph.version:
            fix = f"Read what changed in that version, then set CHINWAG_GRAPH_VERSION={reply.version}."
            self._say("graph", title, "warn", f"This version is no longer supported; version {reply.version} answered instead.", fix)
        else:
            self._say("graph", title, "ok", "The platform answers and supports this version.")
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
            message = f"This token belongs to another app, not to {offer.app_id}."
            self._say(
                "token",
                "Access token",
                "bad",
                message,
                "Create it with this app selected, or enter the other app's id and secret.",
                "access_token",
            )
            return
        if not reply.ok:
            self._wrong_app(reply)
            self._say("token", "Access token", "wait", "Not checked: this needs the right app id and secret.")
            return
        self._graph.app_secret = offer.app_secret
        self._say("secret", "App id and app secret", "ok", "They belong together.")
        self._token(reply)

    def _wrong_app(self, reply: Reply) -> None:
        where = "Both are under App settings > Basic of the same app. Click Show to see the secret."
        if "application" in reply.message.lower() and "secret" not in reply.message.lower():
            self._say("secret", "App id and app secret", "bad", "There is no app with this id.", where, "app_id")
        else:
            message = f"This app secret does not belong to app {self._offer.app_id}."
            self._say("secret", "App id and app secret", "bad", message, where, "app_secret")

    def _token(self, reply: Reply) -> None:
        offer, title, about = self._offer, "Access token", "access_token"
        if reply.get("data", "is_valid") is not True:
            over = "expired" in reply.text("data", "error", "message").lower() or reply.get("data", "error", "subcode") == 463
            message = "This token has expired." if over else "This token is not valid: incomplete, revoked, or from another app."
            self._say("token", title, "bad", message, _PAGE_TOKEN if offer.channel is not ChannelKind.WHATSAPP else _SYSTEM_USER, about)
            return
        owner = reply.text("data", "app_id")
        if owner and owner != offer.app_id:
            message = f"This token belongs to another app ({owner}), not to {offer.app_id}."
            self._say("token", title, "bad", message, "Create the token with this app selected, or enter that app's id and secret.", about)
            return
        kind = reply.text("data", "type")
        if offer.channel is not ChannelKind.WHATSAPP and kind and kind != "PAGE":
            message = f"This is a {kind.lower().replace('_', ' ')} token, not the token of a page."
            self._say("token", title, "bad", message, _PAGE_TOKEN, about)
            return
        self._expiry(reply)
        raw = reply.get("data", "scopes")
        scopes = {str(one) for one in raw} if isinstance(raw, list) else set[str]()  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        missing = [one for one in SCOPES[offer.channel.value, "page"] if one not in scopes]
        self._facts["missing_scopes"] = missing
        if missing:
            message = f"The token lacks {' and '.join(missing)}."
            self._say("scopes", "Permissions", "bad", message, "Create a new token and tick these permissions.", about)
        else:
            self._say("scopes", "Permissions", "ok", "The token has all the permissions that it needs.")

    def _expiry(self, reply: Reply) -> None:
        ends = reply.get("data", "expires_at")
        left = int(ends - self._now.timestamp()) if isinstance(ends, int) and ends > 0 else None
        self._facts["token_expires_at"] = ends if left is not None else 0
        if left is None:
            self._say("token", "Access token", "ok", "Valid for this app; it does not expire.")
        elif left <= 0:
            self._say("token", "Access token", "bad", "This token has expired.", _SYSTEM_USER, "access_token")
        elif left < _HOURS_48:
            message = f"Valid, but it expires in {max(left // 3600, 1)} hours."
            self._say("token", "Access token", "warn", message, _SYSTEM_USER, "access_token")
        else:
            self._say("token", "Access token", "ok", f"Valid for this app, for {left // 86400} more days.")

    def _prove(self, reply: Reply) -> bool:
        """Read whether the platform accepted the proof made with the app secret."""
        if "proof" in reply.message.lower():
            message = "The platform rejects the proof made with this app secret."
            self._say("proof", "App secret proof", "bad", message, "Paste the secret of the app that the token belongs to.", "app_secret")
            return False
        if reply.ok and self._graph.app_secret:
            self._say("proof", "App secret proof", "ok", "The platform accepts it (appsecret_proof).")
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
            self._say(
                "waba",
                "WhatsApp business account",
                "ok",
                f"The token can read it. It has {len(numbers)} phone {'number' if len(numbers) == 1 else 'numbers'}.",
            )
        else:
            fix = "Copy the WhatsApp Business Account ID from WhatsApp > API Setup. The system user needs that account as an asset."
            self._say("waba", "WhatsApp business account", "bad", f"The token cannot read this id ({listed.why}).", fix, "parent_id")
        typed = "".join(sign for sign in offer.external_id if sign.isdigit())
        meant = next((one for one in numbers if _digits(one.get("display_phone_number")) == typed and str(one.get("id")) != typed), None)
        if meant is not None or typed != offer.external_id:
            self._phone_number_pasted(str(meant.get("id")) if meant else "")
            return
        if typed == offer.parent_id:
            self._say("id", "Phone number id", "bad", "This is the id of the business account.", _which(numbers), "external_id")
            return
        reply = self._read(typed, NUMBER_FIELDS)
        if not self._prove(reply):
            return
        if not reply.ok:
            fix = _which(numbers) or "It is below the number on WhatsApp > API Setup; it is not the phone number itself."
            self._say("id", "Phone number id", "bad", f"The token cannot read this id ({reply.why}).", fix, "external_id")
            return
        if listed.ok and typed not in {str(one.get("id")) for one in numbers}:
            message = "This number belongs to a different WhatsApp business account."
            self._say("id", "Phone number id", "bad", message, _which(numbers), "external_id")
            return
        names = {"phone": "display_phone_number", "name": "verified_name", "quality": "quality_rating", "status": "status"}
        self._facts |= {key: reply.text(name) for key, name in names.items()}
        self._facts["throughput"] = reply.text("throughput", "level")
        self._facts["limit"] = reply.text("whatsapp_business_manager_messaging_limit")
        self._facts["hooks"] = reply.get("webhook_configuration") or {}
        self._say("id", "Phone number id", "ok", f"{self._facts['phone']}, {self._facts['name']}.")
        self._number_status()

    def _phone_number_pasted(self, found: str) -> None:
        message = "This is a phone number. Enter its id instead."
        fix = (
            f"The id of this number is {found}." if found else "The id is below the number on WhatsApp > API Setup, From > Phone number ID."
        )
        self._facts["meant_id"] = found
        self._say("id", "Phone number id", "bad", message, fix, "external_id")

    def _number_status(self) -> None:
        status, quality = self._facts["status"], self._facts["quality"]
        if status and status != "CONNECTED":
            fix = "WhatsApp Manager > Phone numbers shows what is missing (registration with a PIN, verification)."
            self._say("standing", "Number status", "warn", f"The number is {status.lower()}.", fix)
        elif quality in {"RED", "YELLOW"}:
            fix = "People have blocked or reported it. It recovers within a week if you send fewer unsolicited messages."
            self._say("standing", "Number status", "warn", f"The number's quality is {quality.lower()}.", fix)
        else:
            self._say("standing", "Number status", "ok", "Connected.")

    def _page(self) -> None:
        offer = self._offer
        reply = self._read(offer.external_id, "id,name")
        if not self._prove(reply):
            return
        if not reply.ok:
            fix = "It is on the page under About > Page transparency, and in GET /me/accounts next to the page's token."
            self._say("id", "Page", "bad", f"The token cannot read this page ({reply.why}).", fix, "external_id")
            return
        me = self._graph.get("me", token=offer.access_token, fields="id")
        if me.ok and me.text("id") != offer.external_id:
            message = "The token does not belong to this page."
            self._say("id", "Page", "bad", message, _PAGE_TOKEN, "access_token")
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
            message = "token is not accepted" if offer.by_login else "token cannot read this page"
            fix = "Instagram > API setup with Instagram login > Generate token." if offer.by_login else _PAGE_TOKEN
            self._say("id", "Instagram account", "bad", f"The {message} ({reply.why}).", fix, about)
            return
        if not found:
            fix = "Link a professional account under the page's Settings > Linked accounts, then try again."
            self._say("id", "Instagram account", "bad", "No Instagram account is linked to this page.", fix, about)
            return
        if offer.external_id and offer.external_id != found:
            message = (
                "This token belongs to another Instagram account."
                if offer.by_login
                else "Another Instagram account is linked to this page."
            )
            self._say("id", "Instagram account", "bad", message, f"Its id is {found}.", "external_id")
            self._facts["meant_id"] = found
            return
        self._offer = replace(offer, external_id=found)
        self._facts["name"] = reply.text("username") or reply.text("instagram_business_account", "username")
        self._say("id", "Instagram account", "ok", f"@{self._facts['name']}.")


def _digits(value: object) -> str:
    return "".join(sign for sign in str(value or "") if sign.isdigit())


def _which(numbers: list[dict[str, Any]]) -> str:
    listed = [f"{str(one.get('id'))[:32]} for {str(one.get('display_phone_number'))[:32]}" for one in numbers[:5]]
    return f"This business account has: {', '.join(listed)}." if listed else ""
