"""Builders with sensible defaults: people, and the webhooks that Meta would send about them."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

PHONE_NUMBER_ID = "700800900100200"
PAGE_ID = "200300400500600"
INSTAGRAM_ID = "17841400500600700"
APP_SECRET = "canary-app-secret-7f3a91"
VERIFY_TOKEN = "canary-verify-token-c04d"
ACCESS_TOKEN = "canary-access-token-55e2b8"
#: Every text that a test's person says holds this word, so that a leak into a log is found (I8).
CANARY = "wordcanary"

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Person:
    """A contact of the tests."""

    number: str
    name: str = "Ada"
    bsuid: str | None = None


def a_person(name: str = "Ada", *, bsuid: str | None = None) -> Person:
    """A person with a phone number of their own."""
    return Person(number=f"1555{next(_numbers):07d}", name=name, bsuid=bsuid)


def marked(person: Person, words: str) -> str:
    """Words that say whose they are: the invariants look for them in other people's prompts and in logs."""
    # The closing letter: a mark that an answer cut short must not pass for another number.
    return f"{words} {CANARY}{person.number}z"


def a_wamid() -> str:
    """A fresh id of an inbound message."""
    return f"wamid.IN{next(_numbers):08d}"


def a_text(person: Person, text: str, *, wamid: str | None = None, at: float | None = None) -> dict[str, Any]:
    """One text message as it stands in `messages`."""
    message = {
        "from": person.number,
        "id": wamid or a_wamid(),
        "timestamp": str(int(time.time() if at is None else at)),
        "type": "text",
        "text": {"body": text},
    }
    return message | ({"from_user_id": person.bsuid} if person.bsuid else {})


def a_status(external_id: str, status: str, *, to: str, correlation: str | None = None) -> dict[str, Any]:
    """One status as it stands in `statuses`."""
    found = {"id": external_id, "status": status, "timestamp": str(int(time.time())), "recipient_id": to}
    return found | ({"biz_opaque_callback_data": correlation} if correlation else {})


def a_webhook(
    *,
    messages: Iterable[dict[str, Any]] = (),
    statuses: Iterable[dict[str, Any]] = (),
    people: Iterable[Person] = (),
    phone_number_id: str = PHONE_NUMBER_ID,
) -> bytes:
    """The body of one POST."""
    value: dict[str, Any] = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550102030", "phone_number_id": phone_number_id},
    }
    contacts = [
        {"profile": {"name": person.name}, "wa_id": person.number} | ({"user_id": person.bsuid} if person.bsuid else {})
        for person in people
    ]
    parts = {"contacts": contacts, "messages": list(messages), "statuses": list(statuses)}
    value |= {key: found for key, found in parts.items() if found}
    change = {"field": "messages", "value": value}
    return json.dumps({"object": "whatsapp_business_account", "entry": [{"id": "900100200300400", "changes": [change]}]}).encode()


def sign(body: bytes, secret: str = APP_SECRET) -> dict[str, str]:
    """The headers of a signed POST, made without the product's own code."""
    mac = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"content-type": "application/json", "x-hub-signature-256": f"sha256={mac}"}


def a_page_item(psid: str, *, account: str = PAGE_ID, at: float | None = None, **kind: Any) -> dict[str, Any]:
    """One item of a thread as it stands in `messaging`: what a person did."""
    stamp = int((time.time() if at is None else at) * 1000)
    return {"sender": {"id": psid}, "recipient": {"id": account}, "timestamp": stamp, **kind}


def an_echo(psid: str, text: str, *, mid: str, account: str = PAGE_ID, **more: Any) -> dict[str, Any]:
    """A message that left the account, as it stands in `messaging`."""
    item = a_page_item(psid, account=account, message={"mid": mid, "text": text, "is_echo": True, **more})
    return item | {"sender": item["recipient"], "recipient": item["sender"]}


def a_page_webhook(*items: Any, account: str = PAGE_ID, named: str = "messaging") -> bytes:
    """The body of one POST of Messenger, or of Instagram for an account of that."""
    entry = {"id": account, "time": int(time.time() * 1000), named: list(items)}
    return json.dumps({"object": "instagram" if account == INSTAGRAM_ID else "page", "entry": [entry]}).encode()
