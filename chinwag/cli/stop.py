"""`chinwag stop`: end this checkout's running stack."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import typer

from chinwag.local.ground import Ground
from chinwag.local.settings import checkout_of_this_python

_DEADLINE_S = 15.0


def command() -> None:
    """Stop the running stack of this checkout."""
    ground = own_ground()
    pid = ground.runner()
    if not pid:
        typer.echo("Nothing runs here.")
        return
    os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + _DEADLINE_S
    # The folder's lock is released a moment before the process ends.
    while ground.runner() == pid or _runs(pid):
        if time.monotonic() > end:
            typer.echo(
                f"Process {pid} did not stop within {_DEADLINE_S:.0f} s: end it with kill -9 {pid}; its parts end with it.", err=True
            )
            raise typer.Exit(2)
        time.sleep(0.05)
    typer.echo("Stopped.")


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def own_ground() -> Ground:
    """The data folder of the checkout that this Python belongs to."""
    return Ground(Path(os.environ.get("CHINWAG_LOCAL_DATA") or checkout_of_this_python() / ".chinwag"))
