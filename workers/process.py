"""A worker process's life: its parts, its heartbeat and leases, its watchdog, and how it stops."""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence

import structlog

from bots import telemetry
from bots.errors import StorageUnavailable
from bots.storage import claims
from workers.deps import Deps, build

log = structlog.get_logger()

#: Exit status of a process that ended itself because a turn was stuck (EX_SOFTWARE).
_STUCK = 70

_current: Deps | None = None


def current() -> Deps:
    """The parts of this process. Raises RuntimeError before start."""
    if _current is None:
        raise RuntimeError("the worker has not started")
    return _current


def start(env: Mapping[str, str], *, name: str, queues: Sequence[str], slots: int) -> None:
    """Put the parts together and start the threads that keep leases and heartbeat alive."""
    global _current  # noqa: PLW0603 - one process has one set of parts; Celery gives tasks no other way to reach them
    deps = build(env)
    telemetry.configure(deps.settings.log_level)
    _current = deps
    threading.Thread(target=_beat, args=(deps, name, queues, slots), name="heartbeat", daemon=True).start()
    threading.Thread(target=_renew, args=(deps,), name="leases", daemon=True).start()
    threading.Thread(target=_watch, args=(deps,), name="watchdog", daemon=True).start()


def stop(*, grace_s: float | None = None) -> None:
    """Take no new turn, give running ones their time, then end: leases make that safe."""
    if _current is None:
        return
    deps = _current
    deps.in_flight.stopping.set()
    threading.Thread(target=_end_after, args=(deps, grace_s), name="stop", daemon=True).start()


def _end_after(deps: Deps, grace_s: float | None) -> None:
    until = time.monotonic() + (deps.settings.stop_grace_s if grace_s is None else grace_s)
    while time.monotonic() < until and deps.in_flight.busy():
        time.sleep(0.05)
    log.info("worker_stopped", left=deps.in_flight.busy())
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _beat(deps: Deps, name: str, queues: Sequence[str], slots: int) -> None:
    while True:
        try:
            freed = claims.heartbeat(
                deps.crossing, name, boot=deps.boot, queues=queues, slots=slots, busy=deps.in_flight.busy()
            )
            if freed:
                log.info("leases_freed", worker=name, count=freed)
        except StorageUnavailable:
            log.warning("heartbeat_missed", worker=name)
        time.sleep(deps.settings.heartbeat_s)


def _renew(deps: Deps) -> None:
    while True:
        time.sleep(deps.settings.lease_renew_s)
        held = deps.in_flight.conversations()
        try:
            if held:
                claims.renew(deps.crossing, held, boot=deps.boot, lease_s=deps.settings.lease_s)
        except StorageUnavailable:
            log.warning("leases_not_renewed", count=len(held))


def _watch(deps: Deps) -> None:
    while True:
        time.sleep(1.0)
        age = deps.in_flight.oldest_s()
        if age > deps.settings.task_deadline_s:
            log.error("turn_stuck", age_s=round(age))
            faulthandler.dump_traceback(all_threads=True)
            os._exit(_STUCK)
