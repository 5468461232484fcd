"""`chinwag fake-platform`: a Graph server for practice and for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chinwag.practice.calls import Versions
from chinwag.practice.server import serve


def command(
    port: Annotated[int, typer.Option("--port", help="The port; 0 chooses a free one.")] = 0,
    state: Annotated[Path | None, typer.Option("--state", help="A folder for the log and the accounts; default: memory only.")] = None,
    oldest: Annotated[int, typer.Option("--oldest-version", help="The oldest Graph version that is still served.")] = 20,
    newest: Annotated[int, typer.Option("--newest-version", help="The newest Graph version.")] = 26,
    host: Annotated[
        str, typer.Option("--host", help="The address to listen on. Whoever can reach it can control it: stay on loopback.")
    ] = "127.0.0.1",
) -> None:
    """Run a practice platform: strict like the Graph API, with a log, statuses, and faults on demand."""
    try:
        serve(host=host, port=port, state=state, versions=Versions(oldest, newest))
    except OSError as error:
        why = error.strerror or error
        typer.echo(f"The practice platform cannot start on {host}:{port}: {why}. Choose another --port or --state.", err=True)
        raise typer.Exit(2) from error
