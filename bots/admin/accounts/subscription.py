"""What an app is subscribed to on the platform: the address that it sends to, and the webhook fields, compared with those that are read here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bots.admin.accounts.offer import Check, Offer
from bots.channels.graph_setup import GraphSetup, app_token
from bots.domain import ChannelKind

_OBJECTS = {ChannelKind.WHATSAPP: "whatsapp_business_account", ChannelKind.MESSENGER: "page", ChannelKind.INSTAGRAM: "instagram"}
#: The webhook fields that are read here. WhatsApp sends edits and unsends with messages.
FIELDS: dict[ChannelKind, tuple[str, ...]] = {
    ChannelKind.WHATSAPP: (
        "messages",
        "smb_message_echoes",
        "user_id_update",
        "account_update",
        "account_alerts",
        "account_review_update",
        "business_capability_update",
        "phone_number_quality_update",
        "phone_number_name_update",
        "message_template_status_update",
        "message_template_quality_update",
        "template_category_update",
        "security",
        "user_preferences",
    ),
    ChannelKind.MESSENGER: (
        "messages",
        "messaging_postbacks",
        "message_deliveries",
        "message_reads",
        "message_echoes",
        "message_reactions",
        "message_edits",
        "standby",
        "messaging_handovers",
        "messaging_referrals",
        "messaging_policy_enforcement",
    ),
    ChannelKind.INSTAGRAM: (
        "messages",
        "messaging_postbacks",
        "messaging_seen",
        "message_reactions",
        "messaging_referral",
        "messaging_handover",
        "standby",
    ),
}
#: What goes unnoticed without a field, where that is not plain from its name.
_LOST = {
    "messages": "messages do not arrive",
    "smb_message_echoes": "the bot goes on where a colleague answers in the phone app",
    "user_id_update": "people who change their number become strangers",
    "account_update": "a disabled account is not noticed",
    "message_edits": "edited messages are answered as they were",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AppSubscription:
    """An app's subscription for one channel; without one, both are empty."""

    url: str = ""
    fields: tuple[str, ...] = ()


def read(graph: GraphSetup, offer: Offer) -> AppSubscription | None:
    """The app's subscription for this channel; None: the platform does not say."""
    reply = graph.get(f"{offer.app_id}/subscriptions", token=app_token(offer.app_id, offer.app_secret))
    if not reply.ok:
        return None
    found = [one for one in reply.items("data") if one.get("object") == _OBJECTS[offer.channel] and one.get("active", True)]
    if not found:
        return AppSubscription()
    return AppSubscription(url=str(found[0].get("callback_url") or "")[:500], fields=_names(found[0].get("fields")))


def missing(offer: Offer, there: AppSubscription, apps: list[dict[str, Any]]) -> tuple[str, ...]:
    """Which fields are read here and not subscribed to. A page subscribes to its fields itself (`apps`); the app has to have them too."""
    have = set(there.fields)
    if offer.channel is ChannelKind.MESSENGER:
        have &= names(apps)
    return tuple(name for name in FIELDS[offer.channel] if name not in have)


def names(apps: list[dict[str, Any]]) -> set[str]:
    """The fields that a page or an account has subscribed these apps to."""
    return {name for app in apps for name in _names(app.get("subscribed_fields"))}


def compared(lacks: tuple[str, ...]) -> Check:
    """Say whether everything that is read here is subscribed to."""
    title = "Webhook fields"
    if not lacks:
        return Check(key="fields", title=title, state="ok", message="Subscribed to everything that is read here.")
    lost = "; ".join(_LOST[name] for name in lacks if name in _LOST)
    message = f"Not subscribed to {', '.join(lacks)}{f': {lost}' if lost else ''}."
    fix = "Subscribe to the missing fields on the account's page, or with `chinwag account subscribe`."
    return Check(key="fields", title=title, state="bad" if "messages" in lacks else "warn", message=message, fix=fix)


def body(offer: Offer, there: AppSubscription | None, *, url: str, verify_token: str) -> dict[str, str]:
    """The request that sets an app's address and fields. Fields that it has for other purposes stay."""
    fields = dict.fromkeys((*(there.fields if there else ()), *FIELDS[offer.channel]))
    return {
        "object": _OBJECTS[offer.channel],
        "callback_url": url,
        "verify_token": verify_token,
        "fields": ",".join(fields),
        "include_values": "true",
    }


def _names(given: object) -> tuple[str, ...]:
    """The names in a list of fields: objects for an app, plain names for a page."""
    listed: list[Any] = given if isinstance(given, list) else []  # pyright: ignore[reportUnknownVariableType]
    return tuple(str(one.get("name") if isinstance(one, dict) else one)[:80] for one in listed)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
