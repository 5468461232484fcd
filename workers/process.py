"""A worker process's life: its parts, its heartbeat and leases, its watchdog, and how it stops."""

from __future__ import annotations

import faulthandler
import gc
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from uuid import UUID

import structlog

from bots import extract, metrics, telemetry
from bots.phrases.book import book
from bots.storage import claims, model_trials
from bots.storage.database import open_engine
from bots.storage.process_lock import ProcessLock
from workers import model_routes, probes, refusals, trial
from workers.deps import Deps, build

log = structlog.get_logger()

#: A worker with free slots that got no task for this time, while tasks wait for it, has lost its connection to Redis.
_STALL_S = 60.0
#: A send that has been under way for so long holds its slot as a turn does. Such an account is known as slow for a while: its next turns end in such sends.
_SLOW_SEND_S, _KNOWN_AS_SLOW_S = 0.5, 60.0
#: How often what slow accounts hold is reported, if it changes.
_HELD_S = 0.25
#: A living process that has just lost the connection of its lock has it again after this time. Only then a new one of its name judges who is dead.
_RECONNECTED_S = 2.0
#: How often results of other versions of the trial are marked: they come with an upgrade, and from a command of another version.
_TRIALS_S = 300.0
#: The collector runs once so many more containers were made than freed: a few megabytes at most, every second or so under full load.
_COLLECT_AFTER = 20_000
#: Exit status of a process that ended itself because a turn was stuck (EX_SOFTWARE).
_STUCK = 70

_current: Deps | None = None


def current() -> Deps:
    """The parts of this process. Raises RuntimeError before start."""
    if _current is None:
        raise RuntimeError("the worker has not started")
    return _current


def start(env: Mapping[str, str], *, name: str, queues: Sequence[str], slots: int, messages: Callable[[], int]) -> None:
    """Assemble the parts and start the threads that renew leases and heartbeat.

    messages counts the tasks that wait in Redis for this worker.
    """
    global _current  # noqa: PLW0603 - one process has one set of parts; Celery gives tasks no other way to reach them
    deps = build(env, queues=queues)
    telemetry.configure(deps.settings.log_level)
    _current = deps
    metrics.listen(deps.settings)
    # The words of all languages, a second of work: no message waits for them, and no turn shares a core with it.
    extract.load()
    book()
    spare_collector()
    lock = ProcessLock(open_engine(deps.settings.crossing_database_url, pool=1, name="alive"), boot=deps.boot)
    beat = _Heartbeat(deps, lock, name=name, queues=queues, slots=slots)
    settings = deps.settings
    for purpose, work, every_s in (
        ("heartbeat", beat.once, settings.heartbeat_s),
        ("lock", partial(lock.keep, settings.heartbeat_s), 0.0),
        ("leases", partial(_renew, deps), settings.lease_renew_s),
        ("watchdog", partial(_watch, deps), 1.0),
        ("held", _Held(deps).once, _HELD_S),
        ("profiles", deps.routes.refresh, model_routes.EVERY_S),
        ("refusals", deps.refusals.refresh, refusals.EVERY_S),
        ("probes", probes.Probes(deps).once, probes.EVERY_S),
        ("trials", partial(model_trials.outdate, deps.worker, trial.version()), _TRIALS_S),
        ("stall", partial(_check_stalled, deps, slots=slots, messages=messages), _STALL_S / 4),
    ):
        threading.Thread(target=_keep_doing, args=(purpose, work, every_s), name=purpose, daemon=True).start()


def spare_collector() -> None:
    """Keep the garbage collector from looking again and again at what stays for ever, and from running several times a turn.

    Nearly all that a turn leaves is freed at once, without it. With the defaults it took a seventh of a worker's CPU.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 20, 20)


def stop(*, grace_s: float | None = None) -> None:
    """Take no new work, give running work time to end, then exit: leases make that safe."""
    if _current is None:
        return
    deps = _current
    deps.in_flight.stopping.set()
    threading.Thread(target=_end_after, args=(deps, grace_s), name="stop", daemon=True).start()


def _end_after(deps: Deps, grace_s: float | None) -> None:
    until = time.monotonic() + (deps.settings.stop_grace_s if grace_s is None else grace_s)
    while time.monotonic() < until and deps.in_flight.busy():
        time.sleep(0.05)
    _keep_trying("leases", partial(claims.release, deps.crossing, boot=deps.boot))
    log.info("worker_stopped", left=deps.in_flight.busy())
    telemetry.flush()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


class _Heartbeat:
    """Reports that this process is alive, while it holds its lock; soon after the first time also that it stands for the dead ones of its name."""

    def __init__(self, deps: Deps, lock: ProcessLock, *, name: str, queues: Sequence[str], slots: int) -> None:
        self._deps, self._lock, self._name, self._queues, self._slots = deps, lock, name, queues, slots
        self._first = True

    def once(self) -> None:
        """Report once; the first time twice."""
        self._lock.hold()
        if self._first:
            self._report(first=False)
            time.sleep(_RECONNECTED_S)
        self._report(first=self._first)
        self._first = False

    def _report(self, *, first: bool) -> None:
        freed = claims.heartbeat(
            self._deps.crossing,
            self._name,
            boot=self._deps.boot,
            queues=self._queues,
            slots=self._slots,
            busy=self._deps.in_flight.busy(),
            first=first,
            holds_lock=True,
        )
        if freed:
            log.info("leases_freed", worker=self._name, count=freed)


class _Held:
    """Reports how many slots of this process accounts with slow sends hold, when that changes: claims and the dispatcher count them (shares.sql)."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._known: Mapping[UUID, tuple[int, int]] = {}

    def once(self) -> None:
        """Report once, if there is anything new."""
        found = self._deps.in_flight.held_by_slow(than_s=_SLOW_SEND_S, for_s=_KNOWN_AS_SLOW_S)
        if found != self._known:
            claims.report_held(self._deps.crossing, found, boot=self._deps.boot)
            self._known = found


def _keep_doing(purpose: str, work: Callable[[], object], every_s: float) -> None:
    while True:
        _keep_trying(purpose, work)
        time.sleep(every_s)


def _keep_trying(purpose: str, work: Callable[[], object]) -> None:
    try:
        work()
    except Exception as error:  # noqa: BLE001 - a thread that keeps the process alive survives every error
        log.error("upkeep_failed", purpose=purpose, error=type(error).__name__)  # noqa: TRY400 - tracebacks of SQL show values


def _renew(deps: Deps) -> None:
    leases = deps.in_flight.leases()
    if leases:
        claims.renew(deps.crossing, leases, boot=deps.boot, lease_s=deps.settings.lease_s)


def _check_stalled(deps: Deps, *, slots: int, messages: Callable[[], int]) -> None:
    """End a process that gets no work although there is some; judged by what it sees itself, never by a row that a healthy process writes."""
    silent_s = time.monotonic() - deps.in_flight.last_task_at
    if silent_s > _STALL_S and deps.in_flight.busy() < slots and messages() > 0:
        log.error("worker_stalled", silent_s=round(silent_s))
        telemetry.flush()
        os._exit(_STUCK)


def _watch(deps: Deps) -> None:
    age = deps.in_flight.oldest_s()
    if age > deps.settings.task_deadline_s:
        log.error("turn_stuck", age_s=round(age))
        faulthandler.dump_traceback(all_threads=True)
        telemetry.flush()
        os._exit(_STUCK)
