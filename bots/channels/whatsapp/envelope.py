"""A WhatsApp webhook body, read: entries, changes, and the lists in them. Total: any bytes give a Received.

Routed by object, then field, then list, then type. What is not understood becomes an event of kind unknown beside its neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from bots.channels.whatsapp.fields import Fields, NotJson, as_fields, clean, code_of, decode, digest, id_of, items, part, time_of, word_of
from bots.channels.whatsapp.messages import read_echo, read_message
from bots.channels.whatsapp.people import Contacts, bsuid, handle, identities
from bots.channels.whatsapp.statuses import read_status
from bots.domain import EventKind, InboundEvent, Received

OBJECT = "whatsapp_business_account"
#: The platform sends at most 1,000 updates in a body; beyond this the body waits for an operator.
EVENTS_LIMIT = 5_000
#: So many items that are no objects go into the key of their event.
_SEEN = 100


def parse(body: bytes) -> Received:
    """Read a webhook body: everything in it that was understood, and what was not as such."""
    try:
        found = as_fields(decode(body))
    except NotJson:
        return Received(reason="the body is not JSON")
    if found is None:
        return Received(reason="the body is not a JSON object")
    events = tuple(islice(_body(found), EVENTS_LIMIT + 1))
    if len(events) > EVENTS_LIMIT:
        return Received(events=events[:EVENTS_LIMIT], reason=f"more than {EVENTS_LIMIT} items in one body")
    if not events and not isinstance(found.get("entry"), list):
        return Received(reason="the body holds no entry")
    return Received(events=events)


def _body(body: Fields) -> Iterator[InboundEvent]:
    named = word_of(body, "object")
    if named not in (OBJECT, None):
        yield _unknown(named or "", body, f"object {named}")
        return
    if "entry" in body:
        for item in _objects(body, "entry", "entry"):
            if isinstance(item, InboundEvent):
                yield item
            else:
                yield from _entry(item)
    elif "value" in body or "messages" in body or "statuses" in body:
        # Samples of the dashboard come without their wrapping.
        yield from _change(body if "value" in body else {"field": "messages", "value": body}, {})


def _entry(entry: Fields) -> Iterator[InboundEvent]:
    if "changes" not in entry and "value" in entry:
        yield from _change(entry, entry)
        return
    if not items(entry, "changes"):
        yield _unknown("entry", entry, "an entry without changes")
        return
    for item in _objects(entry, "changes", "change"):
        if isinstance(item, InboundEvent):
            yield item
        else:
            yield from _change(item, entry)


def _change(change: Fields, entry: Fields) -> Iterator[InboundEvent]:
    field, value = word_of(change, "field"), as_fields(change.get("value"))
    if value is None:
        yield _unknown(field or "change", {"entry": entry.get("id"), "change": change}, "a change without a value")
        return
    account = id_of(part(value, "metadata"), "phone_number_id")
    if field is None:
        field = "messages" if "messages" in value or "statuses" in value else "change"
    if field == "messages":
        yield from _messages(value, account)
    elif field == "smb_message_echoes" and value.get("message_echoes"):
        for item in _objects(value, "message_echoes", "echo", account):
            yield item if isinstance(item, InboundEvent) else read_echo(item, account)
    elif field == "user_id_update" and value.get("user_id_update"):
        for item in _objects(value, "user_id_update", field, account):
            yield item if isinstance(item, InboundEvent) else _changed_id(item, account)
    else:
        seen = {"entry": entry.get("id"), "time": entry.get("time"), "value": value}
        yield _unknown(field, seen, f"field {field} is not read", account)


def _messages(value: Fields, account: str | None) -> Iterator[InboundEvent]:
    contacts = Contacts(value)
    for item in _objects(value, "messages", "message", account):
        yield item if isinstance(item, InboundEvent) else read_message(item, contacts, account, value)
    for item in _objects(value, "statuses", "status", account):
        yield item if isinstance(item, InboundEvent) else read_status(item, account)
    if items(value, "messages") or items(value, "statuses"):
        return
    code = code_of(value)
    reason = f"error {code}" if code is not None else "neither messages nor statuses"
    yield _unknown("errors" if value.get("errors") is not None else "messages", value, reason, account)


def _changed_id(item: Fields, account: str | None) -> InboundEvent:
    """Read that the platform gave a person a new business-scoped id: old and new are one contact."""
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


def _objects(fields: Fields, name: str, what: str, account: str | None = None) -> Iterator[Fields | InboundEvent]:
    """Go through the JSON objects under a name; everything else there becomes one unknown event at the end."""
    others: list[object] = []
    for item in items(fields, name):
        found = as_fields(item)
        if found is None:
            others.append(item)
        else:
            yield found
    if others:
        yield _unknown(what, (len(others), others[:_SEEN]), f"{len(others)} in {name} that are no objects", account)


def _unknown(content_type: str, seen: object, reason: str, account: str | None = None) -> InboundEvent:
    return InboundEvent(
        kind=EventKind.UNKNOWN,
        event_key=f"unknown:{digest(account, content_type, seen)}",
        account_external_id=account,
        content_type=clean(content_type, 64),
        supported=False,
        reason=clean(reason, 256),
    )
