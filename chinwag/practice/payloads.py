"""The webhook bodies that the platform sends: one envelope, holding messages or statuses in the documented shape."""

from __future__ import annotations

import base64
import secrets
import time
from typing import Any

from chinwag.practice.numbers import Number
from chinwag.practice.refusals import CODES

Json = dict[str, Any]


def new_wamid() -> str:
    """Return a fresh message id."""
    return "wamid." + base64.b64encode(secrets.token_bytes(27)).decode()


def digits(value: str) -> str:
    """Return a phone number as the platform writes it: digits only."""
    return "".join(letter for letter in value if letter.isdigit())


def envelope(number: Number, value: Json) -> Json:
    """Wrap a value in the webhook's envelope."""
    metadata = {"display_phone_number": number.display_phone_number, "phone_number_id": number.phone_number_id}
    change = {"field": "messages", "value": {"messaging_product": "whatsapp", "metadata": metadata, **value}}
    return {"object": "whatsapp_business_account", "entry": [{"id": number.waba_id, "changes": [change]}]}


def inbound(number: Number, *, wamid: str, phone: str, bsuid: str, name: str, message: Json, timestamp: int | None) -> Json:
    """Build the webhook of one message that a person wrote; `message` holds its type and content."""
    contact: Json = {"profile": {"name": name}}
    item: Json = {"id": wamid, "timestamp": str(timestamp if timestamp is not None else int(time.time())), **message}
    if phone:
        contact["wa_id"] = item["from"] = digits(phone)
    if bsuid:
        contact["user_id"] = item["from_user_id"] = bsuid
    return envelope(number, {"contacts": [contact], "messages": [item]})


def status(name: str, *, wamid: str, phone: str, bsuid: str, correlation: str | None, code: int | None) -> Json:
    """Build one status of a message that the business sent."""
    item: Json = {"id": wamid, "status": name, "timestamp": str(int(time.time()))}
    if phone:
        item["recipient_id"] = phone
    if bsuid:
        item["recipient_user_id"] = bsuid
    if correlation is not None:
        item["biz_opaque_callback_data"] = correlation
    if name in ("sent", "delivered"):
        item["pricing"] = {"billable": False, "pricing_model": "PMP", "type": "free_customer_service", "category": "service"}
    if name == "failed":
        title = CODES.get(code or 131000, (400, "", "Error"))[2]
        item["errors"] = [{"code": code or 131000, "title": title, "message": title, "error_data": {"details": title}}]
    return item


def statuses(number: Number, items: list[Json]) -> Json:
    """Build the webhook of some statuses."""
    return envelope(number, {"statuses": items})
