"""Reads a WhatsApp webhook body: entries, changes, and the lists in them. Total: any bytes give a Received.

Items are read by object, then field, then list, then type. What is not understood becomes an event of kind unknown; the rest is read.
"""

from __future__ import annotations

from collections.abc import Iterator

from bots.channels.envelope import objects, read_body, unknown
from bots.channels.fields import Fields, as_fields, brief, code_of, digest, id_of, items, part, time_of, word_of
from bots.channels.whatsapp.messages import read_echo, read_message
from bots.channels.whatsapp.people import Contacts, bsuid, handle, identities
from bots.channels.whatsapp.statuses import read_status
from bots.domain import EventKind, InboundEvent, Received

OBJECT = "whatsapp_business_account"


def parse(body: bytes) -> Received:
    """Read a webhook body: what is understood, and unknown events for the rest."""
    return read_body(body, OBJECT, _entry, _sample)


def _sample(body: Fields) -> Iterator[InboundEvent]:
    """Read a dashboard's sample."""
    if "value" in body or "messages" in body or "statuses" in body:
        yield from _change(body if "value" in body else {"field": "messages", "value": body}, {})


def _entry(entry: Fields) -> Iterator[InboundEvent]:
    if "changes" not in entry and "value" in entry:
        yield from _change(entry, entry)
        return
    if not items(entry, "changes"):
        yield unknown("entry", entry, "an entry without changes")
        return
    for item in objects(entry, "changes", "change"):
        if isinstance(item, InboundEvent):
            yield item
        else:
            yield from _change(item, entry)


def _change(change: Fields, entry: Fields) -> Iterator[InboundEvent]:
    field, value = word_of(change, "field"), as_fields(change.get("value"))
    if value is None:
        yield unknown(field or "change", {"entry": brief(entry, "id"), "change": change}, "a change without a value")
        return
    account = id_of(part(value, "metadata"), "phone_number_id")
    if field is None:
        field = "messages" if "messages" in value or "statuses" in value else "change"
    if field == "messages":
        yield from _messages(value, account)
    elif field == "smb_message_echoes" and value.get("message_echoes"):
        for item in objects(value, "message_echoes", "echo", account):
            yield item if isinstance(item, InboundEvent) else read_echo(item, account)
    elif field == "user_id_update" and value.get("user_id_update"):
        for item in objects(value, "user_id_update", field, account):
            yield item if isinstance(item, InboundEvent) else _changed_id(item, account)
    else:
        seen = {"entry": brief(entry, "id"), "time": brief(entry, "time"), "value": value}
        yield unknown(field, seen, f"field {field} is not read", account)


def _messages(value: Fields, account: str | None) -> Iterator[InboundEvent]:
    contacts = Contacts(value)
    for item in objects(value, "messages", "message", account):
        yield item if isinstance(item, InboundEvent) else read_message(item, contacts, account, value)
    for item in objects(value, "statuses", "status", account):
        yield item if isinstance(item, InboundEvent) else read_status(item, account)
    if items(value, "messages") or items(value, "statuses"):
        return
    code = code_of(value)
    reason = f"error {code}" if code is not None else "neither messages nor statuses"
    yield unknown("errors" if value.get("errors") is not None else "messages", value, reason, account)


def _changed_id(item: Fields, account: str | None) -> InboundEvent:
    """Read a notice that a person has a new business-scoped id: old and new belong to one contact."""
    ids = part(item, "user_id")
    people = identities(bsuid(id_of(ids, "current")), bsuid(id_of(ids, "previous")), handle(id_of(item, "wa_id")))
    return InboundEvent(
        kind=EventKind.SYSTEM if people else EventKind.UNKNOWN,
        event_key=f"user_id_update:{digest(account, item)}",
        account_external_id=account,
        identities=people,
        content_type="user_id_update",
        occurred_at=time_of(item),
        supported=False,
        reason="user_id_update",
    )
