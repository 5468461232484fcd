"""Inbound events. A webhook's events are stored in one transaction; a second delivery of an event changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import Connection
from sqlalchemy.exc import DataError, DBAPIError

from bots.domain import Account, AccountEffect, EventKind, InboundEvent
from bots.errors import StorageUnavailable
from bots.storage.database import to_json

_ACCEPT = "select accept_events(%s, %s, %s, %s, %s, %s, %s::jsonb, %s, %s, %s, p_automatic => %s)"


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
    automatic_s: float = 5.0,
) -> tuple[UUID, ...]:
    """Store a webhook's events and return the contacts that they concern.

    quarantine says why an operator should look at the envelope. hold_s is how long the bot is silent once a person has
    answered in the platform's own inbox; automatic_s is how soon after a message only a machine answers there. Raises
    StorageUnavailable; it is safe to try again.
    """
    values = (
        account.tenant_id,
        account.id,
        str(account.id),
        queue,
        body,
        quarantine,
        to_json([_as_json(event) for event in events]),
        debounce_s,
        debounce_cap_s,
        hold_s,
        automatic_s,
    )
    try:
        found: dict[str, Any] = connection.exec_driver_sql(_ACCEPT, values).scalar_one()
    except DataError as error:
        if not events:
            raise StorageUnavailable from error
        # Postgres cannot store some value in it. Trying again would not help, but an operator may; the other events are stored.
        again = partial(
            accept,
            connection,
            account,
            queue=queue,
            body=body,
            debounce_s=debounce_s,
            debounce_cap_s=debounce_cap_s,
            hold_s=hold_s,
            automatic_s=automatic_s,
        )
        if len(events) == 1:
            return again((), quarantine="not_storable")
        return tuple(contact for event in events for contact in again((event,), quarantine=quarantine))
    except DBAPIError as error:
        raise StorageUnavailable from error
    return tuple(UUID(contact) for contact in found["contacts"])


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
        "reason": event.reason,
    }
    if event.target is not None:
        found["target"] = event.target
    if event.quoted is not None:
        found["quoted"] = event.quoted
    if event.refers:
        found["refers"] = [{"name": name, "text": text} for name, text in event.refers]
    if event.previous:
        found["previous"] = [{"kind": identity.kind, "value": identity.value} for identity in event.previous]
    if event.app_id is not None:
        found["app_id"] = event.app_id
    if event.effect is not None:
        found["effect"] = _effect(event, event.effect)
    if event.media:
        found["media"] = [{"kind": one.kind, "reference": one.reference, "media_type": one.media_type} for one in event.media]
    if event.status is not None:
        found["status"] = {
            "external_id": event.status.external_id,
            "status": event.status.status,
            "correlation": _as_uuid(event.status.correlation),
            "code": event.status.error_code,
        }
        if event.status.watermark is not None:
            found["status"] = {**found["status"], "watermark": event.status.watermark.timestamp()}
    return found | (_edited(event) if event.kind is EventKind.EDIT else {})


def _edited(event: InboundEvent) -> dict[str, Any]:
    """What the new words of an edit say, for a message that was answered already."""
    return {"facts": [{"kind": fact.kind, "text": fact.value, "single": fact.single} for fact in event.facts], "stops": event.stops}


def _effect(event: InboundEvent, effect: AccountEffect) -> dict[str, Any]:
    return {
        "do": effect.measure,
        "reason": effect.reason,
        "topic": effect.topic,
        "wait_s": effect.wait_s,
        "number": effect.number or None,
        "parent": event.notice.parent if event.notice else None,
    }


def _as_uuid(text: str | None) -> str | None:
    try:
        return str(UUID(text)) if text else None
    except ValueError:
        return None
