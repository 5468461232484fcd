"""The one task. It says which queue; Postgres knows the rest."""

from __future__ import annotations

import time
from typing import Any

import celery
import structlog

from bots.errors import StorageUnavailable
from workers.deliver import deliver_one
from workers.deps import Deps
from workers.process import current
from workers.reply import reply_one

log = structlog.get_logger()

DELIVER = "deliver"

#: Celery ships no types.
_celery: Any = celery


@_celery.shared_task(name="workers.work")
def work(queue: str) -> None:
    """Work through what is due in a queue, one at a time, until nothing is or the task's time is over."""
    deps = current()
    with deps.in_flight.task():
        try:
            work_through(deps, queue)
        except StorageUnavailable:
            # Nothing is lost: leases run out, and the dispatcher makes the task again.
            log.warning("storage_unavailable", queue=queue)


def work_through(deps: Deps, queue: str) -> int:
    """Do what `work` does and return how many turns or sends were done. Raises StorageUnavailable."""
    until = time.monotonic() + deps.settings.task_run_s
    done = 0
    while not deps.in_flight.stopping.is_set() and time.monotonic() < until:
        if not (deliver_one(deps) if queue == DELIVER else reply_one(deps, queue)):
            break
        done += 1
    return done
