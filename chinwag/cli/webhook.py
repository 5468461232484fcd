"""`chinwag webhook`: parse webhook bodies like the service, and send one like the platform. Parsing needs no database."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from bots.channels.by_kind import PARSERS
from bots.channels.groups import settled
from bots.domain import ChannelKind, EventKind, InboundEvent
from chinwag.cli.webhook_send import send

app = typer.Typer(name="webhook", help="Parse webhooks, and send them as a platform would.", no_args_is_help=True)
app.command("send")(send)

#: Larger than any webhook: the web refuses bodies above 4 MiB.
_FILE_LIMIT = 16 * 1024 * 1024


class _Channel(StrEnum):
    """The platforms whose webhooks can be parsed."""

    WHATSAPP = "whatsapp"
    MESSENGER = "messenger"
    INSTAGRAM = "instagram"


@app.command("parse")
def parse(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files that contain one webhook body each.", show_default=False)],
    *,
    channel: Annotated[_Channel, typer.Option(help="The platform that sent them.")] = _Channel.WHATSAPP,
    groups: Annotated[bool, typer.Option("--groups", help="Read them for an account that answers in groups.")] = False,
) -> None:
    """Print how the service understands webhook bodies, one JSON line for each event. Exit code 2 when a file cannot be read."""
    is_unreadable = False
    for file in files:
        try:
            with file.open("rb") as opened:
                body = opened.read(_FILE_LIMIT + 1)
        except (OSError, ValueError) as error:
            is_unreadable = True
            _explain(file, getattr(error, "strerror", None) or "cannot be read")
            continue
        _parse_one(file, body, ChannelKind(channel.value), groups=groups)
    if is_unreadable:
        raise typer.Exit(2)


def _parse_one(file: Path, body: bytes, channel: ChannelKind, *, groups: bool) -> None:
    if len(body) > _FILE_LIMIT:
        _explain(file, f"larger than {_FILE_LIMIT} bytes: not a webhook")
        _print(_line(file, InboundEvent(kind=EventKind.NONE, event_key="", supported=False)))
        return
    received = PARSERS[channel](body)
    if received.reason:
        _explain(file, received.reason)
    for event in settled(received.events, answers=groups) or (InboundEvent(kind=EventKind.NONE, event_key="", supported=False),):
        _print(_line(file, event))


def _line(file: Path, event: InboundEvent) -> dict[str, Any]:
    line: dict[str, Any] = {
        "file": str(file),
        "kind": event.kind.value,
        "event_key": event.event_key or None,
        "contact": event.identities[0].value if event.identities else None,
        "text": event.text,
        "occurred_at": event.occurred_at.isoformat() if event.occurred_at else None,
        "supported": event.supported,
        "content_type": event.content_type,
    }
    return line | {name: value for name, value in _more(event).items() if value not in (None, [], {}, "")}


def _more(event: InboundEvent) -> dict[str, Any]:
    """What only some events have."""
    status, notice, effect = event.status, event.notice, event.effect
    return {
        "account": event.account_external_id,
        "contact_name": event.contact_name,
        "identities": [{"kind": one.kind.value, "value": one.value} for one in event.identities],
        "previous": [{"kind": one.kind.value, "value": one.value} for one in event.previous],
        "quoted": event.quoted,
        "target": event.target,
        "refers": [{"name": name, "text": text} for name, text in event.refers],
        "media": [{"kind": one.kind, "reference": one.reference, "media_type": one.media_type} for one in event.media],
        "at_once": event.reply_at_once or None,
        "addressed": event.addressed,
        "app_id": event.app_id,
        "status": status
        and {
            "external_id": status.external_id or None,
            "status": status.status.value,
            "correlation": status.correlation,
            "error_code": status.error_code,
            "watermark": status.watermark.isoformat() if status.watermark else None,
        },
        "notice": notice and {"field": notice.field, "event": notice.event, "detail": notice.detail, "parent": notice.parent},
        "effect": effect and {"measure": effect.measure.value, "reason": effect.reason, "topic": effect.topic},
        "reason": event.reason,
    }


def _print(line: dict[str, Any]) -> None:
    # ASCII: a terminal's or a pipe's encoding changes nothing, and a file name of any bytes can be written.
    sys.stdout.write(json.dumps(line) + "\n")


def _explain(file: Path, why: str) -> None:
    name = str(file).encode("utf-8", "backslashreplace").decode()
    print(f"{name}: {why}", file=sys.stderr)
