"""`chinwag attention`: what wants attention, why, and what to do about it."""

from __future__ import annotations

import json
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Annotated
from uuid import UUID

import msgspec
import typer

from bots.admin.attention.troubles import Action, Attention, as_row
from bots.storage.attention import TroubleKind
from bots.storage.database import open_engine
from chinwag.cli.database import desk

app = typer.Typer(no_args_is_help=True, help="What wants attention: list, replay, resend, settle, dismiss, resume.")

_Id = Annotated[UUID, typer.Argument(help="Its id; `chinwag attention list` shows it.")]
_Kind = Annotated[TroubleKind, typer.Option("--kind", help="What it is; `chinwag attention list` says it.")]


@app.command("list")
def list_(
    kind: Annotated[TroubleKind | None, typer.Option("--kind", help="Only these.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List what wants attention with its reason, the mend, and what can be done; what fits stands first."""
    with _attention() as (attention, tenant):
        rows = [as_row(trouble) for trouble in attention.troubles(tenant, kind=kind, limit=limit)]
    for row in rows:
        if as_json:
            sys.stdout.write(json.dumps(msgspec.to_builtins(row), ensure_ascii=False) + "\n")
            continue
        trouble = row.trouble
        sys.stdout.write(f"{trouble.kind.value} {trouble.id}  {trouble.channel.value}:{trouble.account}  {row.what}\n")
        sys.stdout.write(f"  {row.reason.words} {row.reason.mend}\n  {', '.join(row.actions)}\n")
    if not rows and not as_json:
        sys.stdout.write("Nothing wants attention.\n")


@app.command()
def replay(id_: _Id, kind: _Kind = TroubleKind.ENVELOPE) -> None:
    """Read a quarantined webhook again, or give a dead turn's messages to a fresh turn (--kind turn)."""
    _act(kind, id_, Action.REPLAY)


@app.command()
def resend(id_: _Id) -> None:
    """Send an unknown or failed message again, now."""
    _act(TroubleKind.SEND, id_, Action.RESEND)


@app.command()
def settle(id_: _Id) -> None:
    """Take an unknown message as sent."""
    _act(TroubleKind.SEND, id_, Action.SETTLE)


@app.command()
def dismiss(id_: _Id, kind: _Kind) -> None:
    """Show it no longer; nothing else changes."""
    _act(kind, id_, Action.DISMISS)


@app.command()
def resume(id_: _Id) -> None:
    """Let a parked account send again."""
    _act(TroubleKind.ACCOUNT, id_, Action.RESUME)


def _act(kind: TroubleKind, id_: UUID, action: Action) -> None:
    with _attention() as (attention, tenant):
        attention.act(tenant, kind, id_, action, actor="cli")
    sys.stdout.write("Done.\n")


@contextmanager
def _attention() -> Generator[tuple[Attention, UUID]]:
    with desk() as at:
        crossing = open_engine(at.settings.crossing_database_url, pool=1, name="cli crossing")
        try:
            yield Attention(crossing=crossing, keyring=at.keyring, settings=at.settings), at.tenant
        finally:
            crossing.dispose()
