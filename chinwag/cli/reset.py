"""`chinwag reset`: remove this checkout's data, after asking."""

from __future__ import annotations

import shutil
import sys
from typing import Annotated

import typer

from chinwag.cli.stop import own_ground


def command(yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Remove all data of this checkout: contacts, conversations, memories, accounts, keys. Asks first."""
    ground = own_ground()
    if ground.runner() is not None:
        typer.echo("A stack is running here: `make stop` first.", err=True)
        raise typer.Exit(2)
    if not ground.folder.exists():
        typer.echo("Nothing to remove.")
        return
    if not yes:
        typer.echo(f"This removes {ground.folder}: all contacts, conversations, memories, accounts and keys of this checkout.")
        if not sys.stdin.isatty():
            typer.echo("There is no terminal to ask on: confirm with `chinwag reset --yes`.", err=True)
            raise typer.Exit(2)
        if not typer.confirm("Remove it?"):
            typer.echo("Nothing was removed.")
            return
    shutil.rmtree(ground.folder)
    typer.echo("Removed.")
