"""What `chinwag endpoint` shows of a probe: a spinner while a worker measures, then what it found and what that means."""

from __future__ import annotations

import sys
import time

from rich.console import Console

from bots.admin.endpoints import endpoints as models
from bots.admin.endpoints import status as endpoint_words
from bots.storage import personas
from bots.storage.database import unit
from bots.storage.endpoints import EndpointRow
from chinwag.cli.database import ground

_EVERY_S = 0.5


def follow(name: str, *, timeout_s: float) -> bool:
    """Wait until a worker has measured an endpoint and show it; False where it cannot be used, or nobody measured it in time."""
    end = time.monotonic() + timeout_s
    with ground() as at, Console(stderr=True).status(f"A worker measures {name}: some thirty short questions"):
        while True:
            with unit(at.engine) as connection:
                row = models.wanted(connection, tenant=at.tenant, name=name)
                has_worker = bool(personas.profiles(connection))
            now = endpoint_words.standing(row)
            if now.state != "wait" or not has_worker or time.monotonic() > end:
                break
            time.sleep(_EVERY_S)
    if now.state == "wait":
        why = "no result yet; it goes on" if has_worker else "no worker is alive; the first one that starts measures it"
        sys.stderr.write(f"{name}: {why}. `chinwag endpoint show {name}` tells.\n")
        return False
    tell(row)
    return now.state == "ok"


def tell(row: EndpointRow) -> None:
    """Print what the last probe found."""
    now = endpoint_words.standing(row)
    when = f" {row.probed_at:%Y-%m-%d %H:%M} UTC" if row.probed_at else ""
    sys.stdout.write(f"  Probe: {now.word}{when}\n")
    for note in row.notes:
        sys.stdout.write(f"  {'BAD ' if now.state == 'bad' else 'note'}  {note}\n")
    for fact in endpoint_words.facts(row.traits):
        sys.stdout.write(f"  {fact.title}: {fact.words}\n")
