"""`chinwag fake-platform`: a Graph server for practice and for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chinwag.practice.server import serve


def command(
    port: Annotated[int, typer.Option("--port", help="The port; 0 takes a free one.")] = 0,
    state: Annotated[Path | None, typer.Option("--state", help="A folder for log and numbers; none: in memory.")] = None,
    host: Annotated[str, typer.Option("--host", help="The address. Everyone who reaches it can steer it: keep to loopback.")] = "127.0.0.1",
) -> None:
    """Run a practice platform: strict like the Graph API, with a log, statuses, and faults on demand."""
    try:
        serve(host=host, port=port, state=state)
    except OSError as error:
        why = error.strerror or error
        typer.echo(f"The practice platform cannot start on {host}:{port}: {why}. Choose another --port or --state.", err=True)
        raise typer.Exit(2) from error
