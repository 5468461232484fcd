"""`chinwag webhook`: read webhook bodies as the service would, and send one as the platform would. Parsing needs no database."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from bots.channels.by_kind import PARSERS
from bots.domain import ChannelKind, EventKind, InboundEvent
from chinwag.cli.webhook_send import send

app = typer.Typer(name="webhook", help="Parse webhooks, and send them as a platform would.", no_args_is_help=True)
app.command("send")(send)

#: Larger than any webhook: the web refuses those above 4 MiB.
_FILE_LIMIT = 16 * 1024 * 1024


class _Channel(StrEnum):
    """Whose webhooks can be read."""

    WHATSAPP = "whatsapp"
    MESSENGER = "messenger"
    INSTAGRAM = "instagram"


@app.command("parse")
def parse(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files that contain one webhook body each.", show_default=False)],
    *,
    channel: Annotated[_Channel, typer.Option(help="The platform that sent them.")] = _Channel.WHATSAPP,
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
        _parse_one(file, body, ChannelKind(channel.value))
    if is_unreadable:
        raise typer.Exit(2)


def _parse_one(file: Path, body: bytes, channel: ChannelKind) -> None:
    if len(body) > _FILE_LIMIT:
        _explain(file, f"larger than {_FILE_LIMIT} bytes: not a webhook")
        _print(_line(file, InboundEvent(kind=EventKind.NONE, event_key="", supported=False)))
        return
    received = PARSERS[channel](body)
    if received.reason:
        _explain(file, received.reason)
    for event in received.events or (InboundEvent(kind=EventKind.NONE, event_key="", supported=False),):
        _print(_line(file, event))


def _line(file: Path, event: InboundEvent) -> dict[str, Any]:
    return {
        "file": str(file),
        "kind": event.kind.value,
        "event_key": event.event_key or None,
        "contact": event.identities[0].value if event.identities else None,
        "text": event.text,
        "occurred_at": event.occurred_at.isoformat() if event.occurred_at else None,
        "supported": event.supported,
    }


def _print(line: dict[str, Any]) -> None:
    # ASCII: a terminal's or a pipe's encoding changes nothing, and a file name of any bytes can be written.
    sys.stdout.write(json.dumps(line) + "\n")


def _explain(file: Path, why: str) -> None:
    name = str(file).encode("utf-8", "backslashreplace").decode()
    print(f"{name}: {why}", file=sys.stderr)
