"""Reads a WhatsApp webhook body: entries, changes, and the lists in them. Total: any bytes give a Received.

Items are read by object, then field, then list, then type. What is not understood becomes an event of kind unknown; the rest is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from bots.channels.envelope import each, objects, read_body, unknown
from bots.channels.fields import Fields, as_fields, brief, code_of, digest, id_of, items, part, time_of, word_of
from bots.channels.whatsapp.changes import sorted_out
from bots.channels.whatsapp.messages import read_echo, read_message
from bots.channels.whatsapp.notices import field_of, is_notice, read_errors, read_notice
from bots.channels.whatsapp.one_text import one_text
from bots.channels.whatsapp.people import Contacts, Sender, bsuid, handle, identities, person
from bots.channels.whatsapp.statuses import read_status
from bots.domain import EventKind, Identity, InboundEvent, Received

#: Reads an item of a field's list.
_Read = Callable[[Fields, Contacts, str | None], InboundEvent | Iterable[InboundEvent]]

OBJECT = "whatsapp_business_account"


def parse(body: bytes) -> Received:
    """Read a webhook body: what is understood, and unknown events for the rest."""
    return one_text(body) or read_body(body, OBJECT, _entry, _sample)


def _sample(body: Fields) -> Iterable[InboundEvent]:
    """Read a dashboard's sample."""
    if "value" in body:
        return _change({}, body)
    return _change({}, {"field": "messages", "value": body}) if "messages" in body or "statuses" in body else ()


def _entry(entry: Fields) -> Iterable[InboundEvent]:
    if "changes" not in entry and "value" in entry:
        return _change(entry, entry)
    changes = objects(entry, "changes", "change")
    if not changes:
        return (unknown("entry", entry, "an entry without changes"),)
    return each(changes, partial(_change, entry))


def _change(entry: Fields, change: Fields) -> Iterable[InboundEvent]:
    value = as_fields(change.get("value"))
    field = field_of(change, value or {}, entry)
    if field is not None and is_notice(field):
        return (read_notice(field, change, entry),)
    if value is None:
        return (unknown(field or "change", {"entry": brief(entry, "id"), "change": change}, "a change without a value"),)
    metadata = part(value, "metadata")
    account = id_of(metadata, "phone_number_id")
    if field == "messages" or (field is None and ("messages" in value or "statuses" in value)):
        return _messages(value, Contacts(value, metadata), account)
    if field in _LISTS and value.get(_LISTS[field][0]):
        named, read = _LISTS[field]
        contacts = Contacts(value, metadata)
        return _each(objects(value, named, field, account), read, contacts, account)
    seen = {"entry": brief(entry, "id"), "time": brief(entry, "time"), "value": value}
    return (unknown(field or "change", seen, f"field {field or 'change'} is not read", account),)


def _each(found: Sequence[Fields | InboundEvent], read: _Read, contacts: Contacts, account: str | None) -> Iterator[InboundEvent]:
    for item in found:
        events = read(item, contacts, account) if isinstance(item, dict) else item
        if isinstance(events, InboundEvent):
            yield events
        else:
            yield from events


def _messages(value: Fields, contacts: Contacts, account: str | None) -> Iterator[InboundEvent]:
    found = False
    if "messages" in value:
        for item in objects(value, "messages", "message", account):
            found = True
            yield read_message(item, contacts, account, value) if isinstance(item, dict) else item
    if "statuses" in value:
        for item in objects(value, "statuses", "status", account):
            found = True
            yield read_status(item, account, value) if isinstance(item, dict) else item
    if not found:
        named = "errors" if value.get("errors") is not None else "messages"
        yield read_errors(value, account) or unknown(named, value, "neither messages nor statuses", account)


def _echo(item: Fields, contacts: Contacts, account: str | None) -> InboundEvent:
    del contacts
    return read_echo(item, account)


def _changed_id(item: Fields, contacts: Contacts, account: str | None) -> InboundEvent:
    """Read a notice that a person has a new business-scoped id."""
    ids = part(item, "user_id")
    stated = handle(id_of(item, "wa_id"))
    new = bsuid(id_of(ids, "current") or id_of(item, "user_id"))
    old = bsuid(id_of(ids, "previous") or id_of(item, "previous_user_id"))
    found = contacts.complete(stated or new or old)
    people, previous = sorted_out(new, old, identities(stated, found.identities))
    return _told(item, account, "user_id_update", people=people, previous=previous, name=found.name)


def _preference(item: Fields, contacts: Contacts, account: str | None) -> InboundEvent:
    """Read what a person wants of marketing messages."""
    found = contacts.complete(person("user_id", "wa_id", item))
    wish = " ".join(word for word in (word_of(item, "category"), word_of(item, "value")) if word)
    return _told(item, account, "user_preferences", people=found.identities, name=found.name, reason=wish or None)


def _told(
    item: Fields,
    account: str | None,
    named: str,
    *,
    people: tuple[Identity, ...],
    previous: tuple[Identity, ...] = (),
    name: str | None,
    reason: str | None = None,
) -> InboundEvent:
    return InboundEvent(
        kind=EventKind.SYSTEM if people else EventKind.UNKNOWN,
        event_key=f"{named}:{digest(account, item)}",
        account_external_id=account,
        identities=people,
        contact_name=name,
        content_type=named,
        occurred_at=time_of(item),
        supported=False,
        previous=previous,
        reason=reason or named,
    )


def _call(item: Fields, contacts: Contacts, account: str | None) -> InboundEvent:
    """Read a call. Nobody here answers it; it is shown in the conversation with the person."""
    is_ours = (word_of(item, "direction") or "").upper() == "BUSINESS_INITIATED"
    sender = contacts.complete(person("to_user_id", "to", item)) if is_ours else contacts.sender_of(item)
    found, event = id_of(item, "id"), word_of(item, "event") or "call"
    return InboundEvent(
        kind=EventKind.SYSTEM if sender.identities and not sender.is_own else EventKind.UNKNOWN,
        event_key=f"call:{found or digest(account, item)}:{event}",
        account_external_id=account,
        identities=() if sender.is_own else sender.identities,
        contact_name=sender.name,
        content_type="call",
        occurred_at=time_of(item),
        supported=False,
        reason=_called(item, event),
    )


def _called(item: Fields, event: str) -> str:
    status, seconds = word_of(item, "status"), id_of(item, "duration")
    told = [f"a call: {event}", (status or "").lower(), f"{seconds} s" if seconds else ""]
    return ", ".join(filter(None, told))


def _history(item: Fields, contacts: Contacts, account: str | None) -> Iterable[InboundEvent]:
    """Read a piece of what was written in the phone app before: one notice a thread, since none of it is to be answered."""
    if items(item, "errors"):
        code = code_of(item)
        return (_told(item, account, "history", people=(), name=None, reason=f"the history is not shared: error {code}"),)
    metadata = part(item, "metadata")
    piece = ", ".join(f"{name} {metadata[name]}" for name in ("phase", "chunk_order", "progress") if isinstance(metadata.get(name), int))
    notices: list[InboundEvent] = []
    for thread in items(item, "threads"):
        one = as_fields(thread) or {}
        written = [found for found in map(as_fields, items(one, "messages")) if found is not None]
        if not written:
            continue
        # The name of a thread is the person's number; a group has none.
        is_group = any(found.get("group_id") is not None for found in written)
        sender = Sender() if is_group else contacts.complete(_partner(one))
        reason = f"{len(written)} earlier {'message' if len(written) == 1 else 'messages'} of the phone app ({piece or 'a piece'})"
        notices.append(
            _told(
                {"thread": id_of(one, "id"), "piece": piece, "first": written[:1], "last": written[-1:]},
                account,
                "history",
                people=sender.identities,
                name=sender.name,
                reason=reason,
            )
        )
    return notices or (_told(item, account, "history", people=(), name=None, reason=f"no earlier messages ({piece or 'a piece'})"),)


def _partner(thread: Fields) -> tuple[Identity, ...]:
    context = part(thread, "context")
    stated = identities(bsuid(id_of(context, "user_id")), handle(id_of(context, "wa_id")))
    return stated or handle(id_of(thread, "id"))


def _phone_book(item: Fields, contacts: Contacts, account: str | None) -> InboundEvent:
    """Read a change of the phone app's contact list. Who is in it has not written, so nobody is stored for it."""
    del contacts
    action = word_of(item, "action") or "changed"
    return _told(
        {"contact": digest(item)}, account, "smb_app_state_sync", people=(), name=None, reason=f"the phone app's contacts: {action}"
    )


#: The fields that have a list of items about people, the list's name, and what reads an item of it.
_LISTS: dict[str, tuple[str, _Read]] = {
    "smb_message_echoes": ("message_echoes", _echo),
    "user_id_update": ("user_id_update", _changed_id),
    "user_preferences": ("user_preferences", _preference),
    "calls": ("calls", _call),
    "history": ("history", _history),
    "smb_app_state_sync": ("state_sync", _phone_book),
}
