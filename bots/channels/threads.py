"""The envelope of page messaging, which Messenger and Instagram share: entries of one account with the lists messaging, standby, changes.

Here an item gets its account, sender, recipient and time; bots.channels.thread_items reads what it is. What the account itself did is never
told as the person's: the keys of echoes, and of the account's own edits and unsends, begin with "echo:", and its other acts have no person.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial
from itertools import chain
from typing import Any
from uuid import UUID

from bots.channels.envelope import each, objects, read_body, unknown
from bots.channels.fields import Fields, as_fields, brief, digest, flag_of, id_of, part, stamp_of, text_of, time_of, word_of
from bots.channels.one_text import one_text
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

    __slots__ = ("account", "at", "fields", "is_from_account", "is_standby", "message", "person")

    def __init__(self, fields: Fields, people: IdentityKind, account: str | None, entry: Fields, *, is_standby: bool = False) -> None:
        sender, recipient = _side(fields, "sender"), _side(fields, "recipient")
        message: Fields | None = fields.get("message")
        if not isinstance(message, dict):
            message = {}
        is_echo = "is_echo" in message and flag_of(message, "is_echo")
        if account is None:
            account = sender if is_echo else recipient
        is_from_account = is_echo or (sender is not None and sender == account)
        other = recipient if is_from_account else sender
        self.fields = fields
        #: The message of the item, empty where it has none.
        self.message: Fields = message
        self.account = account
        self.at: datetime | None = time_of(fields) or time_of(entry, "time")
        #: Meant for another app, which owns the thread now.
        self.is_standby = is_standby
        #: Whether the account itself is the sender: then it is an echo, even if it is not marked as one.
        self.is_from_account = is_from_account
        #: The person on the other side of the thread.
        self.person: tuple[Identity, ...] = () if other is None or other == account else (Identity(kind=people, value=other),)

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
        return self.id_in(name) or f"{name}:{_side(self.fields, 'sender') or ''}:{self.stamp}"

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


def _side(fields: Fields, name: str) -> str | None:
    """The id of one side of the thread."""
    side: Fields | None = fields.get(name)
    return id_of(side, "id") if isinstance(side, dict) else None


def named_in(fields: Fields) -> str | None:
    """Return the id of a message; where it is too long to store, one that we make from it."""
    found = id_of(fields, "mid")
    if found is not None:
        return found
    whole = fields.get("mid")
    return _DERIVED + digest(whole) if isinstance(whole, str) and whole.strip() else None


class PageReader:
    """Reads the webhooks of one platform of page messaging; `read` says what one item is."""

    __slots__ = ("_lists", "_people", "_platform", "_read")

    def __init__(self, platform: str, people: IdentityKind, read: ItemReader) -> None:
        self._platform, self._people, self._read = platform, people, read
        #: The lists of an entry, what an item of each is called, and its reader.
        self._lists = (("messaging", "messaging", self._item), ("standby", "standby", self._aside), ("changes", "change", self._change))

    def parse(self, body: bytes) -> Received:
        """Read a webhook body; total."""
        return one_text(body, self._platform, self._people) or read_body(body, self._platform, self._entry, self._bare)

    def _entry(self, entry: Fields) -> Iterable[InboundEvent]:
        account = id_of(entry, "id")
        found: list[Iterable[InboundEvent]] = []
        for name, what, read in self._lists:
            if name in entry:
                items = objects(entry, name, what, account)
                if items:
                    found.append(each(items, partial(read, account, entry)))
        if found:
            return found[0] if len(found) == 1 else chain.from_iterable(found)
        if "field" in entry or "value" in entry:
            return self._change(account, entry, entry)
        return (unknown("entry", entry, "an empty entry", account),)

    def _item(self, account: str | None, entry: Fields, item: Fields) -> Iterable[InboundEvent]:
        return self._read(Item(item, self._people, account, entry))

    def _aside(self, account: str | None, entry: Fields, item: Fields) -> Iterable[InboundEvent]:
        return self._read(Item(item, self._people, account, entry, is_standby=True))

    def _bare(self, body: Fields) -> Iterable[InboundEvent]:
        """Read a dashboard's sample: a change without its wrapping."""
        return self._change(None, body, body) if "value" in body else ()

    def _change(self, account: str | None, entry: Fields, change: Fields) -> Iterable[InboundEvent]:
        """Read a change. A change of a page or an account is not a message, except in samples, which have this form."""
        field, value = word_of(change, "field") or "change", as_fields(change.get("value"))
        if value is not None and any(as_fields(value.get(side)) is not None for side in _SIDES) and field != "comments":
            return self._read(Item(value, self._people, account, entry, is_standby=field == "standby"))
        seen = {"time": brief(entry, "time"), "value": change.get("value")}
        return (unknown(field, seen, f"field {field} is not read", account),)


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
