"""The envelope of page messaging, which Messenger and Instagram share: entries of one account with the lists messaging, standby, changes.

Here an item gets its account, sender, recipient and time; bots.channels.thread_items reads what it is. What the account itself did is never
told as the person's: the keys of echoes, and of the account's own edits and unsends, begin with "echo:", and its other acts have no person.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from bots.channels.envelope import objects, read_body, unknown
from bots.channels.fields import Fields, as_fields, digest, flag_of, id_of, part, stamp_of, text_of, time_of, word_of
from bots.channels.references import Refers
from bots.domain import (
    AccountNotice,
    DeliveryStatus,
    EventKind,
    Identity,
    IdentityKind,
    InboundEvent,
    MediaReference,
    Received,
    StatusUpdate,
)

_THREADS = ("messaging", "standby")
#: Where both lists are missing, an entry or a change contains an item under one of these names.
_SIDES = ("sender", "recipient")
#: Prefix of the ids that we make for messages without an id, or with one too long to store.
_DERIVED = "message:"
_TAG_LIMIT = 1_000
#: What the account does to a message of its own.
_CHANGES = frozenset({EventKind.EDIT, EventKind.REVOKE})
#: What would be answered or acted on, were it not meant for another app. Everything else is the same fact in either list.
_ASIDE = frozenset({EventKind.MESSAGE, EventKind.REACTION, EventKind.SYSTEM, EventKind.UNKNOWN})


class Item:
    """One item of a thread between an account and a person."""

    __slots__ = ("_sender", "account", "at", "fields", "is_from_account", "is_standby", "message", "person")

    def __init__(self, fields: Fields, people: IdentityKind, account: str | None, entry: Fields, *, is_standby: bool = False) -> None:
        sender, recipient = id_of(part(fields, "sender"), "id"), id_of(part(fields, "recipient"), "id")
        message: Fields | None = fields.get("message")
        #: The message of the item, empty where it has none.
        self.message: Fields = message if isinstance(message, dict) else {}
        is_echo = "is_echo" in self.message and flag_of(self.message, "is_echo")
        if account is None:
            account = sender if is_echo else recipient
        self.fields = fields
        self.account = account
        self.at: datetime | None = time_of(fields) or time_of(entry, "time")
        #: Meant for another app, which owns the thread now.
        self.is_standby = is_standby
        #: Whether the account itself is the sender: then it is an echo, even if it is not marked as one.
        self.is_from_account = is_echo or (sender is not None and sender == account)
        other = recipient if self.is_from_account else sender
        #: The person on the other side of the thread.
        self.person: tuple[Identity, ...] = () if other is None or other == account else (Identity(kind=people, value=other),)
        self._sender = sender or ""

    @property
    def stamp(self) -> str:
        """The time as received, for a key."""
        return stamp_of(self.fields)

    def id_in(self, name: str) -> str | None:
        """The id of the message under a name; where it is too long to store, one that we make from it."""
        return named_in(part(self.fields, name))

    def key_of(self, name: str) -> str:
        """The key of a message or similar item: its id, or else a hash of its content."""
        return self.id_in(name) or f"{name}:{digest(self.account, self.fields)}"

    def press_key(self, name: str) -> str:
        """The key of a press, which may have no id: then it is who and when."""
        return self.id_in(name) or f"{name}:{self._sender}:{self.stamp}"

    def event(
        self,
        kind: EventKind,
        key: str,
        content_type: str,
        *,
        text: str | None = None,
        supported: bool = False,
        at_once: bool = False,
        status: StatusUpdate | None = None,
        media: tuple[MediaReference, ...] = (),
        target: str | None = None,
        quoted: str | None = None,
        refers: Refers = (),
        app_id: str | None = None,
        reason: str | None = None,
    ) -> InboundEvent:
        """An event of this item. In standby what a person did is stored without an answer, under a separate key."""
        if self.is_standby:
            reason = "another app owns the thread"
            if kind in _ASIDE:
                kind, key, supported, at_once, media = EventKind.STANDBY, f"standby:{key}", False, False, ()
        people = self.person
        if self.is_from_account and kind is not EventKind.ECHO:
            if kind in _CHANGES:
                key = f"echo:{key}"
            else:
                people = ()
        return InboundEvent(
            kind=kind,
            event_key=key,
            account_external_id=self.account,
            identities=people,
            text=text,
            content_type=content_type,
            occurred_at=self.at,
            supported=supported,
            reply_at_once=at_once,
            status=status,
            media=media,
            target=target,
            quoted=quoted,
            refers=refers,
            app_id=app_id,
            reason=reason,
        )

    def reached(self, external_id: str, status: DeliveryStatus, *, key: str | None = None, correlation: str | None = None) -> InboundEvent:
        """The platform's report about one message that the account sent."""
        update = StatusUpdate(external_id=external_id, status=status, correlation=correlation)
        return self._status(key or f"{external_id}:{status}", update)

    def reached_until(self, named: str, status: DeliveryStatus, until: Fields) -> InboundEvent:
        """The platform's report about all messages up to a watermark."""
        moment = time_of(until, "watermark")
        if moment is None or not self.person:
            return self.unread(named, f"{named} without a watermark or a person")
        # The watermark alone would not be unique: two people may read in the same millisecond.
        key = f"{named}:{self.person[0].value}:{int(moment.timestamp() * 1000)}"
        return self._status(key, StatusUpdate(external_id="", status=status, watermark=moment))

    def _status(self, key: str, update: StatusUpdate) -> InboundEvent:
        return InboundEvent(
            kind=EventKind.STATUS,
            event_key=key,
            account_external_id=self.account,
            identities=self.person,
            content_type="status",
            occurred_at=self.at,
            supported=False,
            status=update,
        )

    def left(self, text: str | None, content_type: str, quoted: str | None) -> InboundEvent:
        """An echo. With our tag it is ours; else a person or another app wrote it, or the storage recognises it by its text."""
        message = self.message
        external_id = named_in(message)
        tag = _as_tag(text_of(message, "metadata", _TAG_LIMIT))
        if external_id is not None and tag is not None:
            return self.reached(external_id, DeliveryStatus.SENT, key=f"echo:{external_id}", correlation=tag)
        key = f"echo:{self.key_of('message')}"
        if not self.person:
            return self.event(EventKind.UNKNOWN, key, "echo", reason="an echo of a message to nobody")
        update = StatusUpdate(external_id=external_id or key, status=DeliveryStatus.SENT)
        return self.event(EventKind.ECHO, key, content_type, text=text, status=update, app_id=id_of(message, "app_id"), quoted=quoted)

    def noticed(self, named: str, reason: str | None = None, refers: Refers = ()) -> InboundEvent:
        """Something that happened to the thread: stored, not answered."""
        return self.event(EventKind.SYSTEM, f"{named}:{digest(self.account, self.fields)}", named, reason=reason, refers=refers)

    def warned(self, notice: AccountNotice, reason: str | None) -> InboundEvent:
        """Something that the platform decided about the account."""
        return InboundEvent(
            kind=EventKind.ACCOUNT,
            event_key=f"{notice.field}:{digest(self.account, self.fields)}",
            account_external_id=self.account,
            content_type=notice.field,
            occurred_at=self.at,
            supported=False,
            notice=notice,
            reason=reason,
        )

    def unread(self, named: str, reason: str) -> InboundEvent:
        """Something that is stored but not understood."""
        return self.event(EventKind.UNKNOWN, f"unknown:{digest(self.account, self.fields)}", named, reason=reason)


ItemReader = Callable[[Item], Iterable[InboundEvent]]


def named_in(fields: Fields) -> str | None:
    """Return the id of a message; where it is too long to store, one that we make from it."""
    found = id_of(fields, "mid")
    if found is not None:
        return found
    whole = fields.get("mid")
    return _DERIVED + digest(whole) if isinstance(whole, str) and whole.strip() else None


def read_threads(body: bytes, platform: str, people: IdentityKind, read: ItemReader) -> Received:
    """Read a webhook body of page messaging; `read` says what one item is."""
    walk = _Walk(people, read)
    return read_body(body, platform, walk.entry, walk.bare)


class _Walk:
    __slots__ = ("_people", "_read")

    def __init__(self, people: IdentityKind, read: ItemReader) -> None:
        self._people, self._read = people, read

    def entry(self, entry: Fields) -> Iterator[InboundEvent]:
        account = id_of(entry, "id")
        found = False
        for name in _THREADS:
            if name in entry:
                for item in objects(entry, name, name, account):
                    found = True
                    if isinstance(item, dict):
                        yield from self._read(Item(item, self._people, account, entry, is_standby=name == "standby"))
                    else:
                        yield item
        if "changes" in entry:
            for item in objects(entry, "changes", "change", account):
                found = True
                yield from self._change(item, account, entry) if isinstance(item, dict) else (item,)
        if found:
            return
        if "field" in entry or "value" in entry:
            yield from self._change(entry, account, entry)
        else:
            yield unknown("entry", entry, "an empty entry", account)

    def bare(self, body: Fields) -> Iterator[InboundEvent]:
        """Read a dashboard's sample: a change without its wrapping."""
        if "value" in body:
            yield from self._change(body, None, body)

    def _change(self, change: Fields, account: str | None, entry: Fields) -> Iterator[InboundEvent]:
        """Read a change. A change of a page or an account is not a message, except in samples, which have this form."""
        field, value = word_of(change, "field") or "change", as_fields(change.get("value"))
        if value is not None and any(as_fields(value.get(side)) is not None for side in _SIDES) and field != "comments":
            yield from self._read(Item(value, self._people, account, entry, is_standby=field == "standby"))
        else:
            seen = {"time": entry.get("time"), "value": change.get("value")}
            yield unknown(field, seen, f"field {field} is not read", account)


def sender_action(identities: Sequence[Identity], kind: IdentityKind, action: str) -> dict[str, Any] | None:
    """Build the request of a sender action; None for a contact without an id of this kind."""
    person = person_of(identities, kind)
    return None if person is None else {"recipient": {"id": person}, "sender_action": action}


def person_of(identities: Sequence[Identity], kind: IdentityKind) -> str | None:
    """The contact's id on the channel, if it has one."""
    return next((identity.value for identity in identities if identity.kind is kind), None)


def _as_tag(text: str | None) -> str | None:
    """Our tag is the id of an outbound message; any other tag was set by somebody else."""
    try:
        return str(UUID(text)) if text is not None and len(text) == 36 else None
    except ValueError:
        return None
