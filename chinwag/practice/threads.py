"""The webhook bodies of Messenger and Instagram, and how an account with threads accepts a message."""

from __future__ import annotations

import base64
import secrets
import time
from typing import Any, cast

from chinwag.practice import thread_rules
from chinwag.practice.accounts import ANY_APP
from chinwag.practice.pages import Page
from chinwag.practice.people import People
from chinwag.practice.speech import Taken

Json = dict[str, Any]

#: The page inbox's own app; Instagram's has another one.
_INBOX = {"messenger": 263902037430900, "instagram": 1217981644879628}
_INBOUND = {"text", "message", "postback", "quick_reply", "attachments", "reply_to", "item", "by", "standby", "edit"}


def new_mid(page: Page) -> str:
    """Return a fresh message id."""
    prefix = "m_" if page.channel == "messenger" else "aWdf"
    return prefix + base64.urlsafe_b64encode(secrets.token_bytes(30)).decode()


def now_ms() -> int:
    """Return the time as these webhooks write it."""
    return time.time_ns() // 1_000_000


def envelope(page: Page, items: list[Json], *, name: str = "messaging") -> Json:
    """Wrap items in a webhook: one entry each, as the platform usually does."""
    entries = [{"id": page.id, "time": now_ms(), name: [item]} for item in items]
    return {"object": page.webhook_object, "entry": entries}


def field_of(page: Page, item: Json) -> str:
    """Return the subscription field of an item."""
    message = cast("Json", item.get("message") or {})
    if message.get("is_echo"):
        return "message_echoes" if page.channel == "messenger" else "messages"
    return next((fields[page.channel] for key, fields in _FIELDS.items() if key in item), "messages")


def label_of(item: Json) -> str:
    """Return a short name of an item for the log of deliveries."""
    message = cast("Json", item.get("message") or {})
    kind = next((key for key in _FIELDS if key in item), "item")
    about = cast("Json", item.get(kind) or {})
    mid = about.get("mid") or next(iter(cast("list[str]", about.get("mids") or [])), None) or about.get("watermark")
    return f"{mid}:{'echo' if message.get('is_echo') else kind}"


def inbound(page: Page, given: Json, *, person: str, mid: str) -> Json:
    """Build the webhook of what a person did, or of what a human at the business wrote in the inbox (`by`: human)."""
    if unknown := sorted(set(given) - _INBOUND - {"timestamp"}):
        raise ValueError(f"unknown: {', '.join(unknown)}; known: {', '.join(sorted(_INBOUND))}")
    stamp = int(given["timestamp"]) if given.get("timestamp") is not None else now_ms()
    sides = {"sender": {"id": person}, "recipient": {"id": page.id}}
    if given.get("by") == "human":
        sides = {"sender": {"id": page.id}, "recipient": {"id": person}}
    item: Json = {**sides, "timestamp": stamp, **_said(page, given, mid)}
    return envelope(page, [item], name="standby" if given.get("standby") else "messaging")


def _said(page: Page, given: Json, mid: str) -> Json:
    if "item" in given:
        return dict(given["item"])
    if "edit" in given:
        return {"message_edit": dict(given["edit"])}
    if "postback" in given:
        return {"postback": {"mid": mid, **given["postback"]}}
    message: Json = {"mid": mid, **(given.get("message") or {})}
    message |= {name: given[name] for name in ("text", "quick_reply", "attachments", "reply_to") if name in given}
    if given.get("by") == "human":
        message |= {"is_echo": True} | ({"app_id": _INBOX[page.channel]} if page.channel == "messenger" else {})
    if len(message) == 1:
        raise ValueError("text, attachments, quick_reply, postback, message or item is needed")
    return {"message": message}


def _echo(page: Page, mid: str, person: str, message: Json, stamp: int) -> Json:
    content: Json = {"mid": mid, "is_echo": True}
    if page.channel == "messenger":
        content["app_id"] = int(page.app_id or ANY_APP)
        if "metadata" in message:
            content["metadata"] = message["metadata"]
    if "text" in message:
        content["text"] = message["text"]
    if "attachment" in message:
        content["attachments"] = [message["attachment"]]
    return {"sender": {"id": page.id}, "recipient": {"id": person}, "timestamp": stamp, "message": content}


def _reached(page: Page, name: str, mid: str, person: str, stamp: int) -> Json | None:
    item: Json = {"sender": {"id": person}, "recipient": {"id": page.id}, "timestamp": now_ms()}
    if name == "delivered" and page.channel == "messenger":
        return item | {"delivery": {"mids": [mid], "watermark": stamp}}
    if name == "read":
        return item | {"read": {"watermark": stamp} if page.channel == "messenger" else {"mid": mid}}
    # Neither has a report of failure, and Instagram none of delivery.
    return None


class Threads:
    """How Messenger and Instagram process what is sent."""

    def __init__(self, people: People) -> None:
        self._people = people

    def check(self, page: Page, body: Any) -> str:
        """Check a request and the rules on writing to this person; return its kind. Raises Refusal."""
        kind = thread_rules.check(page, body)
        if kind == "message":
            self._people.admit(page, body["recipient"]["id"], is_human=body.get("tag") == "HUMAN_AGENT")
        return kind

    def facts(self, page: Page | None, sender: str, body: Json, kind: str) -> Json:
        """Return the fields of a request for the log and the script."""
        recipient, message = _part(body, "recipient").get("id"), _part(body, "message")
        attachment = _part(message, "attachment")
        return {
            "kind": kind,
            "channel": page.channel if page is not None else None,
            "account_id": page.id if page is not None else sender,
            "phone_number_id": None,
            "to": recipient,
            "recipient": recipient,
            "type": (attachment.get("type") or "text") if kind == "message" else None,
            "text": message.get("text"),
            "correlation": message.get("metadata"),
        }

    def accept(self, page: Page, facts: Json, body: Json) -> Taken:
        """Accept a message; nothing is sent yet."""
        mid, person, stamp = new_mid(page), str(facts["to"]), now_ms()

        def report(name: str, _code: int | None) -> Json | None:
            if name in ("echo", "sent"):
                return _echo(page, mid, person, body["message"], stamp)
            return _reached(page, name, mid, person, stamp)

        return Taken(external_id=mid, answer={"recipient_id": person, "message_id": mid}, report=report)

    def done(self, facts: Json) -> Json:
        """Return the answer to a sender action."""
        return {"recipient_id": facts["to"]}


def _part(fields: Json, name: str) -> Json:
    value = fields.get(name)
    return cast("Json", value) if isinstance(value, dict) else {}


def _same(name: str) -> dict[str, str]:
    return {"messenger": name, "instagram": name}


_FIELDS: dict[str, dict[str, str]] = {
    "message": _same("messages"),
    "delivery": _same("message_deliveries"),
    "read": {"messenger": "message_reads", "instagram": "messaging_seen"},
    "postback": _same("messaging_postbacks"),
    "reaction": _same("message_reactions"),
    "referral": {"messenger": "messaging_referrals", "instagram": "messaging_referral"},
    "optin": _same("messaging_optins"),
    "message_edit": _same("message_edits"),
}
