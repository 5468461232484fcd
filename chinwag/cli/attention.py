"""`chinwag attention`: what needs attention, why, and what to do about it."""

from __future__ import annotations

import json
import sys
from typing import Annotated
from uuid import UUID

import msgspec
import typer

from bots.admin.attention import troubles
from bots.admin.attention.troubles import Action, as_row
from bots.storage.attention import TroubleKind
from chinwag.cli.use_cases import use_cases

app = typer.Typer(
    no_args_is_help=True, help="Handle what needs attention: list, replay, resend, settle, dismiss, resume, same-person, two-people."
)

_Id = Annotated[UUID, typer.Argument(help="The id that `chinwag attention list` shows.")]
_Kind = Annotated[TroubleKind, typer.Option("--kind", help="The kind that `chinwag attention list` shows.")]


@app.command("list")
def list_(
    kind: Annotated[TroubleKind | None, typer.Option("--kind", help="List only this kind.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List what needs attention with its reason, how to fix it, and what can be done, the most helpful action first."""
    with use_cases() as (deps, operator):
        rows = [as_row(trouble) for trouble in troubles.list_troubles(deps, operator, kind=kind, limit=limit)]
    for row in rows:
        if as_json:
            sys.stdout.write(json.dumps(msgspec.to_builtins(row), ensure_ascii=False) + "\n")
            continue
        trouble = row.trouble
        sys.stdout.write(
            f"{trouble.kind.value} {trouble.id}  {trouble.channel.value if trouble.channel else 'endpoint'}:{trouble.account}  {row.what}\n"
        )
        sys.stdout.write(f"  {row.reason.message} {row.reason.fix}\n  {', '.join(row.actions)}\n")
    if not rows and not as_json:
        sys.stdout.write("Nothing needs attention.\n")


@app.command()
def replay(id_: _Id, kind: _Kind = TroubleKind.ENVELOPE) -> None:
    """Read a quarantined webhook again, or answer a dead turn's messages in a new turn (--kind turn)."""
    _act(kind, id_, Action.REPLAY)


@app.command()
def resend(id_: _Id) -> None:
    """Send a message again whose status is unknown or failed."""
    _act(TroubleKind.SEND, id_, Action.RESEND)


@app.command()
def settle(id_: _Id) -> None:
    """Count a message of unknown status as sent."""
    _act(TroubleKind.SEND, id_, Action.SETTLE)


@app.command()
def dismiss(id_: _Id, kind: _Kind) -> None:
    """Remove an entry from the list; nothing else changes."""
    _act(kind, id_, Action.DISMISS)


@app.command()
def resume(id_: _Id) -> None:
    """Let a parked account answer again."""
    _act(TroubleKind.ACCOUNT, id_, Action.RESUME)


@app.command("same-person")
def same_person(id_: _Id) -> None:
    """Say that the two contacts of a case are the same person: they become one contact. `two-people` undoes it."""
    _act(TroubleKind.IDENTITY, id_, Action.SAME_PERSON)


@app.command("two-people")
def two_people(id_: _Id) -> None:
    """Say that the two contacts of a case are two people. If they had been joined so, each gets their own back."""
    _act(TroubleKind.IDENTITY, id_, Action.TWO_PEOPLE)


def _act(kind: TroubleKind, id_: UUID, action: Action) -> None:
    with use_cases() as (deps, operator):
        troubles.act(deps, operator, kind, id_, action)
    sys.stdout.write("Done.\n")
