"""Payload files and what is expected of them: a body in, exactly these events out. A new oddity is a new file and a line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bots.domain import Identity, InboundEvent, Received

_FOLDER = Path(__file__).parent.parent / "corpus"


def files(channel: str) -> list[Path]:
    """A channel's payload files."""
    return sorted((_FOLDER / channel).glob("*.json"))


def expected(channel: str) -> dict[str, dict[str, Any]]:
    """The table of a channel, by file name."""
    lines = (_FOLDER / channel / "expected.jsonl").read_text("utf-8").splitlines()
    return {row["file"]: row for row in map(json.loads, lines)}


def told(received: Received, *, with_codes: bool = False) -> dict[str, Any]:
    """Write what was received as the table does: what is absent is left out. with_codes: statuses have the platform's code."""
    row: dict[str, Any] = {} if received.reason is None else {"reason": received.reason}
    return row | {"events": [_event(event, with_codes=with_codes) for event in received.events]}


def _handles(found: tuple[Identity, ...]) -> list[str]:
    return [f"{identity.kind.value}:{identity.value}" for identity in found]


def _event(event: InboundEvent, *, with_codes: bool) -> dict[str, Any]:
    row: dict[str, Any] = {"kind": event.kind.value, "event_key": event.event_key}
    row["contact"] = _handles(event.identities)
    for name in ("account_external_id", "contact_name", "text", "content_type", "reason"):
        if getattr(event, name) is not None:
            row[name] = getattr(event, name)
    if event.occurred_at is not None:
        row["occurred_at"] = event.occurred_at.isoformat()
    row["supported"] = event.supported
    if event.reply_at_once:
        row["reply_at_once"] = True
    if event.addressed is not None:
        row["addressed"] = event.addressed
    if event.media:
        row["media"] = [[one.kind, one.reference, one.media_type] for one in event.media]
    row |= _about(event)
    if event.status is not None:
        status = event.status
        told: list[object] = [status.external_id, status.status.value, status.correlation]
        row["status"] = [*told, status.error_code] if with_codes else told
        if status.watermark is not None:
            row["status"].append(status.watermark.isoformat())
    return row


def _about(event: InboundEvent) -> dict[str, Any]:
    found: dict[str, Any] = {name: getattr(event, name) for name in ("target", "quoted", "app_id") if getattr(event, name) is not None}
    if event.refers:
        found["refers"] = [list(pair) for pair in event.refers]
    if event.previous:
        found["previous"] = _handles(event.previous)
    if event.notice is not None:
        found["notice"] = [event.notice.field, event.notice.event, event.notice.detail]
    return found
