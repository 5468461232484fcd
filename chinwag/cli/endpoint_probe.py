"""What `chinwag endpoint` shows of a probe: a spinner while a worker measures, then what it found and what that means."""

from __future__ import annotations

import sys
import time

from rich.console import Console

from bots.admin.acting import Operator
from bots.admin.deps import Deps
from bots.admin.endpoints import endpoints, status
from bots.storage.endpoints import EndpointRow

_EVERY_S = 0.5


def follow(deps: Deps, operator: Operator, name: str, *, timeout_s: float) -> bool:
    """Wait until a worker has measured an endpoint and show it; False when it cannot be used, or was not measured in time."""
    end = time.monotonic() + timeout_s
    with Console(stderr=True).status(f"A worker is probing {name} with about thirty short questions"):
        while True:
            row, has_worker = endpoints.measured(deps, operator, name)
            now = status.status_of(row)
            if now.state != "wait" or not has_worker or time.monotonic() > end:
                break
            time.sleep(_EVERY_S)
    if now.state == "wait":
        why = "no result yet; the worker continues" if has_worker else "no worker is running; the first one that starts probes it"
        sys.stderr.write(f"{name}: {why}. `chinwag endpoint show {name}` shows the result.\n")
        return False
    tell(row)
    return now.state == "ok"


def tell(row: EndpointRow) -> None:
    """Print what the last probe found."""
    now = status.status_of(row)
    when = f" {row.probed_at:%Y-%m-%d %H:%M} UTC" if row.probed_at else ""
    sys.stdout.write(f"  Probe: {now.message}{when}\n")
    for note in row.notes:
        sys.stdout.write(f"  {'BAD ' if now.state == 'bad' else 'note'}  {note}\n")
    for fact in status.facts(row.traits):
        sys.stdout.write(f"  {fact.title}: {fact.message}\n")
