"""Inbound events. A webhook's events are stored in order, a large one's in pieces; a second delivery of an event changes nothing."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid5

from psycopg.errors import QueryCanceled
from sqlalchemy import Connection
from sqlalchemy.exc import DataError, DBAPIError

from bots.domain import Account, AccountEffect, EventKind, InboundEvent
from bots.errors import StorageUnavailable
from bots.storage.database import to_json

_ACCEPT = "select accept_events(%s, %s, %s, %s, %s, %s, %s::jsonb, %s, %s, %s, p_automatic => %s, p_envelope => %s)"
#: How many events the first piece has; each of the next ones as many as take about _PIECE_S.
_FIRST_PIECE, _LEAST, _MOST = 100, 10, 500
#: Well below the web's statement timeout, and short enough for others who wait for the same rows.
_PIECE_S = 0.3
#: Platforms wait about 20 s for an answer. What is stored by then stays stored; a repeat of the webhook goes on from there.
WITHIN_S = 12.0
#: A webhook with more events that cannot be stored is not searched any further for those that can.
_MOST_REFUSED = 50


def accept(
    connection: Connection,
    account: Account,
    events: Sequence[InboundEvent],
    *,
    queue: str,
    body: bytes | None = None,
    quarantine: str | None = None,
    debounce_s: float,
    debounce_cap_s: float,
    hold_s: float = 3600.0,
    automatic_s: float = 4.0,
    within_s: float = WITHIN_S,
) -> tuple[UUID, ...]:
    """Store a webhook's events and return the contacts that they concern.

    Many events are stored in pieces, each in a transaction of its own if the connection is in none. quarantine says why an operator
    should look at the envelope. hold_s is how long the bot is silent once a person has answered in the platform's own inbox;
    automatic_s is how soon after a message only a machine answers there. Raises StorageUnavailable, perhaps after some pieces, and after
    within_s seconds; it is safe to try again.
    """
    webhook = _Webhook(
        connection=connection,
        account=account,
        queue=queue,
        body=body,
        quarantine=quarantine,
        times=(debounce_s, debounce_cap_s, hold_s, automatic_s),
        ends_at=time.monotonic() + within_s,
    )
    if len(events) > _FIRST_PIECE:
        webhook.comes_in_pieces()
    contacts: list[UUID] = []
    start, size = 0, _FIRST_PIECE
    while True:
        began = time.monotonic()
        contacts += webhook.store(events[start : start + size])
        start += size
        if start >= len(events):
            return tuple(dict.fromkeys(contacts))
        # The next piece is planned for the tables as they are now: plans made for empty ones read every row for each event.
        connection.exec_driver_sql("discard plans")
        took_s = max(time.monotonic() - began, 0.001)
        size = max(_LEAST, min(_MOST, int(size * _PIECE_S / took_s)))


@dataclass(slots=True, kw_only=True)
class _Webhook:
    """One webhook on its way into the database."""

    connection: Connection
    account: Account
    queue: str
    body: bytes | None
    quarantine: str | None
    #: Debounce, its cap, the hold and how soon only a machine answers, in seconds.
    times: tuple[float, float, float, float]
    ends_at: float
    #: What all pieces share; None for a webhook of one piece.
    envelope: UUID | None = None
    #: Whether the envelope is stored; then the body need not be sent to Postgres again.
    is_kept: bool = False
    refused: int = 0

    def comes_in_pieces(self) -> None:
        """Name the envelope by its content, so that a repeated webhook finds what was stored of it before."""
        if self.envelope is None and self.body is not None:
            self.envelope = uuid5(self.account.id, hashlib.sha256(self.body).hexdigest())

    def store(self, events: Sequence[InboundEvent]) -> list[UUID]:
        """Store some events in one transaction, or in several where Postgres does not take them at once. Raises StorageUnavailable."""
        try:
            return self._accept(events, None if self.is_kept else self.quarantine)
        except DataError as error:
            # Postgres cannot store some value in it. Trying again would not help, but an operator may; the other events are stored.
            if not events:
                raise StorageUnavailable from error
            self.comes_in_pieces()
            if len(events) > 1 and self.refused < _MOST_REFUSED:
                return self._store_halves(events)
            self.refused += 1
        except DBAPIError as error:
            # It takes longer than a statement may.
            if len(events) > 1 and isinstance(error.orig, QueryCanceled):
                self.comes_in_pieces()
                return self._store_halves(events)
            raise StorageUnavailable from error
        try:
            return self._accept((), "not_storable")
        except DBAPIError as error:
            raise StorageUnavailable from error

    def _store_halves(self, events: Sequence[InboundEvent]) -> list[UUID]:
        middle = len(events) // 2
        return self.store(events[:middle]) + self.store(events[middle:])

    def _accept(self, events: Sequence[InboundEvent], quarantine: str | None) -> list[UUID]:
        if time.monotonic() > self.ends_at:
            raise StorageUnavailable
        values = (
            self.account.tenant_id,
            self.account.id,
            str(self.account.id),
            self.queue,
            self.body if quarantine is not None or not self.is_kept else None,
            quarantine,
            to_json([_as_json(event) for event in events]),
            *self.times,
            self.envelope,
        )
        found: dict[str, Any] = self.connection.exec_driver_sql(_ACCEPT, values).scalar_one()
        self.is_kept = self.is_kept or (found["kept"] and self.envelope is not None)
        return [UUID(contact) for contact in found["contacts"]]


def _as_json(event: InboundEvent) -> dict[str, Any]:
    found: dict[str, Any] = {
        "key": event.event_key,
        "kind": event.kind,
        "identities": [{"kind": identity.kind, "value": identity.value} for identity in event.identities],
        "name": event.contact_name,
        "text": event.text,
        "content_type": event.content_type,
        "at": event.occurred_at.timestamp() if event.occurred_at else None,
        "supported": event.supported,
        "at_once": event.reply_at_once,
        "waits": event.waits,
        "reason": event.reason,
    }
    optional = {
        "target": event.target,
        "quoted": event.quoted,
        "app_id": event.app_id,
        # Of a group that is not answered: the body that it came in has its words.
        "wordless": True if event.addressed is not None and not event.identities else None,
    }
    found |= {name: value for name, value in optional.items() if value is not None}
    if event.refers:
        found["refers"] = [{"name": name, "text": text} for name, text in event.refers]
    if event.previous:
        found["previous"] = [{"kind": identity.kind, "value": identity.value} for identity in event.previous]
    if event.effect is not None:
        found["effect"] = _effect(event, event.effect)
    if event.media:
        found["media"] = [{"kind": one.kind, "reference": one.reference, "media_type": one.media_type} for one in event.media]
    if event.status is not None:
        found["status"] = {
            "external_id": event.status.external_id,
            "status": event.status.status,
            "correlation": as_uuid(event.status.correlation),
            "code": event.status.error_code,
        }
        if event.status.watermark is not None:
            found["status"] = {**found["status"], "watermark": event.status.watermark.timestamp()}
    return found | (_edited(event) if event.kind is EventKind.EDIT else {})


def _edited(event: InboundEvent) -> dict[str, Any]:
    """What the new words of an edit say, for a message that was answered already."""
    facts = [
        {"kind": fact.kind, "text": fact.value, "topic": fact.topic, "day": fact.day, "last_day": fact.last_day, "since": fact.since}
        for fact in event.facts
    ]
    ends = [{"kind": end.kind, "text": end.value, "on": end.on, "but": end.but, "every": end.every} for end in event.ends]
    return {"facts": facts, "ends": ends, "untold": event.untold, "stops": event.stops, "unsaid": event.unsaid}


def _effect(event: InboundEvent, effect: AccountEffect) -> dict[str, Any]:
    return {
        "do": effect.measure,
        "reason": effect.reason,
        "topic": effect.topic,
        "wait_s": effect.wait_s,
        "number": effect.number or None,
        "parent": event.notice.parent if event.notice else None,
    }


def as_uuid(text: str | None) -> str | None:
    """Return what a platform hands back as a correlation if it is one of ours."""
    try:
        return str(UUID(text)) if text else None
    except ValueError:
        return None
