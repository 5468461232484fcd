"""Webhooks that arrive together: those that hold nothing but texts and statuses are stored in one transaction. What is not so is left out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

import msgspec

from bots.domain import Account, DeliveryStatus, EventKind, Identity, IdentityKind, InboundEvent, MediaReference
from bots.storage.inbox import as_uuid

#: One statement, its values as they go over the wire, and which of them are bytes.
STATEMENT = "select accept_many($1::jsonb, $2, $3::jsonb, $4::jsonb, $5, $6)"
BINARY = (1,)
#: Has this connection's statements planned anew, for the tables as they are now.
PLAN_ANEW = "discard plans"
_STEPS = frozenset({DeliveryStatus.SENT, DeliveryStatus.DELIVERED, DeliveryStatus.READ})
#: What a message costs, if a status costs one, and so does a kilobyte to compress; and how much goes into one transaction, since others wait for it.
_MESSAGE_WEIGHT, _BYTES = 4, 1024
MOST_WEIGHT = 400


@dataclass(slots=True, kw_only=True)
class Arrival:
    """One webhook of one account, read and not yet stored."""

    account: Account
    queue: str
    body: bytes
    events: Sequence[InboundEvent]


def is_plain(events: Sequence[InboundEvent], body: bytes) -> bool:
    """Whether a webhook may be stored together with others. The database has the last word on that."""
    if not events or weight(events, body) > MOST_WEIGHT or not all(map(_is_plain, events)):
        return False
    return len(events) == 1 or len({event.event_key for event in events}) == len(events)


def weight(events: Sequence[InboundEvent], body: bytes) -> int:
    """What a webhook costs, in statuses."""
    messages = sum(event.kind is not EventKind.STATUS for event in events)
    return len(events) + (_MESSAGE_WEIGHT - 1) * messages + len(body) // _BYTES


def _is_plain(event: InboundEvent) -> bool:
    if event.effect is not None:
        return False
    if event.kind is EventKind.MESSAGE:
        return bool(event.identities) and event.target is None and not event.event_key.startswith("standby:")
    status = event.status
    return event.kind is EventKind.STATUS and status is not None and status.status in _STEPS and status.watermark is None


def values(arrivals: Sequence[Arrival], *, debounce_s: float, debounce_cap_s: float) -> list[bytes]:
    """What the statement takes, for plain webhooks of which no two name the same key."""
    webhooks: list[_Webhook] = []
    messages: list[_Message] = []
    statuses: list[_Status] = []
    place = 1
    for w, arrival in enumerate(arrivals, 1):
        account, envelope = arrival.account, _new_id()
        webhooks.append(_Webhook(w, account.tenant_id, account.id, envelope, place, len(arrival.body)))
        place += len(arrival.body)
        for event in arrival.events:
            if event.status is None:
                messages.append(_message(event, arrival, w, envelope, len(messages) + 1))
            else:
                statuses.append(_status(event, arrival, w, len(statuses) + 1))
    encode = _JSON.encode
    bodies = b"".join(arrival.body for arrival in arrivals)
    return [encode(webhooks), bodies, encode(messages), encode(statuses), encode(debounce_s), encode(debounce_cap_s)]


def left_out(answer: bytes | None) -> set[int]:
    """The places of those webhooks of which nothing was stored: bots.storage.inbox.accept takes each by itself."""
    numbers = (answer or b"{}")[1:-1]
    return {int(w) - 1 for w in numbers.split(b",")} if numbers else set()


def _new_id() -> UUID:
    """An id that begins with the time, as new_id of the database makes it."""
    return UUID(int=(time.time_ns() // 1_000_000) << 80 | 7 << 76 | uuid4().int & _AFTER_VERSION)


_AFTER_VERSION = (1 << 76) - 1
_JSON = msgspec.json.Encoder()


class _Webhook(msgspec.Struct):
    w: int
    tenant_id: UUID
    account_id: UUID
    envelope_id: UUID
    #: Where its body begins among the bodies, counting from 1, and how long it is.
    place: int
    size: int


class _Message(msgspec.Struct, omit_defaults=True):
    """One message as accept_many reads it: columns of inbox, and whom it is from."""

    arrival: int
    w: int
    tenant_id: UUID
    account_id: UUID
    envelope_id: UUID
    event_key: str
    kind: str
    content_type: str
    supported: bool
    queue: str
    identities: tuple[Identity, ...]
    at_once: bool
    waits: tuple[float, float, float] | None = None
    text: str | None = None
    id_kind: str | None = None
    id_value: str | None = None
    phone: str | None = None
    name: str | None = None
    reason: str | None = None
    occurred_at: datetime | None = None
    at: float | None = None
    quoted: str | None = None
    refers: list[dict[str, str]] | None = None
    media: tuple[MediaReference, ...] | None = None


class _Status(msgspec.Struct, omit_defaults=True):
    """One status as accept_many reads it: columns of statuses."""

    arrival: int
    w: int
    tenant_id: UUID
    account_id: UUID
    event_key: str
    external_id: str
    status: str
    occurred_at: datetime | None = None
    correlation: str | None = None
    error_code: int | None = None


def _message(event: InboundEvent, arrival: Arrival, w: int, envelope: UUID, place: int) -> _Message:
    by_id = next((one for one in event.identities if one.kind is not IdentityKind.PHONE), None)
    phone = next((one.value for one in event.identities if one.kind is IdentityKind.PHONE), None)
    return _Message(
        arrival=place,
        w=w,
        tenant_id=arrival.account.tenant_id,
        account_id=arrival.account.id,
        envelope_id=envelope,
        event_key=event.event_key,
        kind=event.kind,
        content_type=event.content_type,
        supported=event.supported,
        queue=arrival.queue,
        identities=event.identities,
        at_once=event.reply_at_once,
        waits=event.waits,
        text=event.text,
        id_kind=by_id.kind if by_id else None,
        id_value=by_id.value if by_id else None,
        phone=phone,
        name=event.contact_name,
        reason=event.reason,
        occurred_at=event.occurred_at,
        at=event.occurred_at.timestamp() if event.occurred_at else None,
        quoted=event.quoted,
        refers=[{"name": name, "text": text} for name, text in event.refers] or None,
        media=event.media or None,
    )


def _status(event: InboundEvent, arrival: Arrival, w: int, place: int) -> _Status:
    status = event.status
    assert status is not None
    return _Status(
        arrival=place,
        w=w,
        tenant_id=arrival.account.tenant_id,
        account_id=arrival.account.id,
        event_key=event.event_key,
        external_id=status.external_id,
        status=status.status,
        occurred_at=event.occurred_at,
        correlation=as_uuid(status.correlation),
        error_code=status.error_code,
    )
