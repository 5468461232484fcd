"""The envelope of page messaging, which Messenger and Instagram share: entries of one account with the lists messaging, standby, changes.

Here an item gets its account, sender, recipient and time; each channel reads the content for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from bots.channels.envelope import is_command, objects, read_body, unknown
from bots.channels.fields import Fields, as_fields, brief, clean, digest, id_of, items, part, stamp_of, text_of, time_of, word_of
from bots.domain import DeliveryStatus, EventKind, Identity, IdentityKind, InboundEvent, MediaReference, Received, StatusUpdate

#: Where both lists are missing, an entry or a change contains an item under one of these names.
_SIDES = ("sender", "recipient")
#: Prefix of the ids that we make for messages without an id, or with one too long to store.
_DERIVED = "message:"
_TAG_LIMIT = 1_000
#: Types of attachments that are pictures; stickers are, too.
_PICTURES = frozenset({"image", "sticker"})
#: Of one message; further ones are ignored.
_MOST_PICTURES = 10
_URL_LIMIT = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One item of a thread between an account and a person."""

    fields: Fields
    #: Ids of people on this channel are of this kind.
    people: IdentityKind
    account: str | None
    sender: str | None
    recipient: str | None
    #: Meant for another app, which owns the thread now.
    is_standby: bool
    at: datetime | None

    @property
    def is_from_account(self) -> bool:
        """Whether the account itself is the sender: then it is an echo, even if it is not marked as one."""
        return part(self.fields, "message").get("is_echo") is True or (self.sender is not None and self.sender == self.account)

    @property
    def person(self) -> tuple[Identity, ...]:
        """The person on the other side of the thread."""
        found = self.recipient if self.is_from_account else self.sender
        return () if found is None or found == self.account else (Identity(kind=self.people, value=found),)

    @property
    def stamp(self) -> str:
        """The time as received, for a key."""
        return stamp_of(self.fields)

    def id_in(self, name: str) -> str | None:
        """The id of the message under a name; where it is too long to store, one that we make from it."""
        fields = part(self.fields, name)
        found = id_of(fields, "mid")
        whole = fields.get("mid")
        return _DERIVED + digest(whole) if found is None and isinstance(whole, str) and whole.strip() else found

    def key_of(self, name: str) -> str:
        """The key of a message or similar item: its id, or else a hash of its content."""
        return self.id_in(name) or f"{name}:{digest(self.account, self.fields)}"

    def event(self, kind: EventKind, key: str, content_type: str, **more: Any) -> InboundEvent:
        """An event of this item. In standby everything except a status is stored without an answer, under a separate key."""
        if self.is_standby and kind is not EventKind.STATUS:
            kind, key = EventKind.STANDBY, f"standby:{key}"
            more |= {"supported": False, "reply_at_once": False, "status": None, "media": (), "reason": "another app owns the thread"}
        values: dict[str, Any] = {"identities": self.person, "supported": False} | more
        return InboundEvent(
            kind=kind, event_key=key, account_external_id=self.account, content_type=content_type, occurred_at=self.at, **values
        )

    def said(
        self,
        key: str,
        text: str | None,
        content_type: str,
        *,
        at_once: bool = False,
        media: tuple[MediaReference, ...] = (),
        reason: str | None = None,
    ) -> InboundEvent:
        """A person's message: text and pictures are answered, everything else is politely declined."""
        more = {"text": text, "supported": text is not None or bool(media), "reply_at_once": at_once and text is not None}
        return self.event(EventKind.MESSAGE, key, content_type, media=media, reason=reason, **more)

    def reached(self, external_id: str, status: DeliveryStatus, *, key: str | None = None, correlation: str | None = None) -> InboundEvent:
        """The platform's report about one message that the account sent."""
        update = StatusUpdate(external_id=external_id, status=status, correlation=correlation)
        return self.event(EventKind.STATUS, key or f"{external_id}:{status}", "status", status=update)

    def reached_until(self, named: str, status: DeliveryStatus, until: Fields) -> InboundEvent:
        """The platform's report about all messages up to a watermark."""
        moment = time_of(until, "watermark")
        if moment is None or not self.person:
            return self.unread(named, f"{named} without a watermark or a person")
        # The watermark alone would not be unique: two people may read in the same millisecond.
        key = f"{named}:{self.person[0].value}:{int(moment.timestamp() * 1000)}"
        update = StatusUpdate(external_id="", status=status, watermark=moment)
        return self.event(EventKind.STATUS, key, "status", status=update)

    def left(self, text: str | None, content_type: str) -> InboundEvent:
        """An echo. With our tag it is ours; else a person wrote it, or the storage recognises it by its text."""
        message = part(self.fields, "message")
        external_id = self.id_in("message")
        tag = _as_tag(text_of(message, "metadata", _TAG_LIMIT))
        if external_id is not None and tag is not None:
            return self.reached(external_id, DeliveryStatus.SENT, key=f"echo:{external_id}", correlation=tag)
        key = f"echo:{self.key_of('message')}"
        if not self.person:
            return self.event(EventKind.UNKNOWN, key, "echo", reason="an echo of a message to nobody")
        update = StatusUpdate(external_id=external_id or key, status=DeliveryStatus.SENT)
        return self.event(EventKind.ECHO, key, content_type, text=text, status=update)

    def noticed(self, named: str, reason: str | None = None) -> InboundEvent:
        """Something that happened to the thread: stored, not answered."""
        return self.event(EventKind.SYSTEM, f"{named}:{digest(self.account, self.fields)}", named, reason=reason)

    def unread(self, named: str, reason: str) -> InboundEvent:
        """Something that is stored but not understood."""
        return self.event(EventKind.UNKNOWN, f"unknown:{digest(self.account, self.fields)}", named, reason=reason)


ItemReader = Callable[[Item], Iterable[InboundEvent]]


def read_threads(body: bytes, platform: str, people: IdentityKind, read: ItemReader) -> Received:
    """Read a webhook body of page messaging; `read` says what one item is."""
    walk = _Walk(people, read)
    return read_body(body, platform, walk.entry, walk.bare)


@dataclass(frozen=True, slots=True)
class _Walk:
    people: IdentityKind
    read: ItemReader

    def entry(self, entry: Fields) -> Iterator[InboundEvent]:
        account = id_of(entry, "id")
        found = False
        for name in ("messaging", "standby"):
            for item in objects(entry, name, name, account):
                found = True
                yield from (item,) if isinstance(item, InboundEvent) else self._item(item, account, entry, is_standby=name == "standby")
        for item in objects(entry, "changes", "change", account):
            found = True
            yield from (item,) if isinstance(item, InboundEvent) else self._change(item, account, entry)
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
            yield from self._item(value, account, entry, is_standby=field == "standby")
        else:
            seen = {"time": brief(entry, "time"), "value": change.get("value")}
            yield unknown(field, seen, f"field {field} is not read", account)

    def _item(self, item: Fields, account: str | None, entry: Fields, *, is_standby: bool) -> Iterator[InboundEvent]:
        sender, recipient = id_of(part(item, "sender"), "id"), id_of(part(item, "recipient"), "id")
        if account is None:
            account = sender if part(item, "message").get("is_echo") is True else recipient
        at = time_of(item) or time_of(entry, "time")
        yield from self.read(
            Item(fields=item, people=self.people, account=account, sender=sender, recipient=recipient, is_standby=is_standby, at=at)
        )


def read_by(item: Item, readers: Mapping[str, ItemReader], notices: Sequence[str]) -> Iterator[InboundEvent]:
    """Read an item by the first kind that it names; notices are kinds that change nothing in a conversation."""
    for name, read in readers.items():
        if as_fields(item.fields.get(name)) is not None:
            yield from read(item)
            return
    for name in notices:
        if name in item.fields:
            yield item.noticed(name, _why(part(item.fields, name)))
            return
    yield item.unread("item", "an item of an unknown kind")


def spoken(item: Item, content_type: str) -> Iterator[InboundEvent]:
    """A message: an echo, a choice of a quick reply, a command, or plain text."""
    message = part(item.fields, "message")
    text = text_of(message, "text")
    if item.is_from_account:
        yield item.left(text, content_type)
        return
    choice = as_fields(message.get("quick_reply"))
    if choice is not None:
        yield item.said(item.key_of("message"), text or text_of(choice, "payload"), "quick_reply", at_once=True)
        return
    reason = "a message without content" if text is None and content_type == "text" else None
    yield item.said(item.key_of("message"), text, content_type, at_once=is_command(text), media=_pictures(message), reason=reason)


def postback(item: Item) -> Iterator[InboundEvent]:
    """A button that was pressed: its title counts as the message's text."""
    pressed = part(item.fields, "postback")
    text = text_of(pressed, "title") or text_of(pressed, "payload")
    key = item.id_in("postback") or f"postback:{item.sender or ''}:{item.stamp}"
    yield item.said(key, text, "postback", at_once=True)


def reaction(item: Item) -> Iterator[InboundEvent]:
    """A reaction to a message, or its removal, which has no emoji."""
    found = part(item.fields, "reaction")
    action = word_of(found, "action") or "react"
    sign = None if action == "unreact" else text_of(found, "emoji", 64) or word_of(found, "reaction")
    yield item.event(EventKind.REACTION, f"reaction:{item.key_of('reaction')}:{action}:{item.stamp}", "reaction", text=sign)


def edit(item: Item) -> Iterator[InboundEvent]:
    """A new text for an earlier message. Edits of one message differ by their number, and by their time."""
    found = part(item.fields, "message_edit")
    key = f"edit:{item.key_of('message_edit')}:{id_of(found, 'num_edit') or ''}:{item.stamp}"
    yield item.event(EventKind.EDIT, key, "message_edit", text=text_of(found, "text"))


def sender_action(identities: Sequence[Identity], kind: IdentityKind, action: str) -> dict[str, Any] | None:
    """Build the request of a sender action; None for a contact without an id of this kind."""
    person = person_of(identities, kind)
    return None if person is None else {"recipient": {"id": person}, "sender_action": action}


def person_of(identities: Sequence[Identity], kind: IdentityKind) -> str | None:
    """The contact's id on the channel, if it has one."""
    return next((identity.value for identity in identities if identity.kind is kind), None)


def _why(notice: Fields) -> str | None:
    return word_of(notice, "reason") or word_of(notice, "action") or word_of(notice, "source") or word_of(notice, "type")


def attached(message: Fields) -> str | None:
    """The platform's name for the kind of the first attachment; None where there is none."""
    for item in items(message, "attachments"):
        found = as_fields(item)
        if found is not None:
            return word_of(found, "type") or "attachment"
    return None


def _pictures(message: Fields) -> tuple[MediaReference, ...]:
    """The attached pictures, by their addresses."""
    found: list[MediaReference] = []
    for item in items(message, "attachments"):
        attachment = as_fields(item) or {}
        kind, payload = word_of(attachment, "type"), part(attachment, "payload")
        url = payload.get("url")
        # An address that was cut is useless.
        if kind in _PICTURES and isinstance(url, str) and 0 < len(url) <= _URL_LIMIT:
            found.append(MediaReference(kind=kind, reference=clean(url, _URL_LIMIT)))
    return tuple(found[:_MOST_PICTURES])


def _as_tag(text: str | None) -> str | None:
    """Our tag is the id of an outbound message; any other tag was set by somebody else."""
    try:
        return str(UUID(text)) if text is not None and len(text) == 36 else None
    except ValueError:
        return None
