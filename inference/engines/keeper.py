"""Keeps one engine up: starts it, waits for its first token, watches it, and starts it again with growing pauses.

Guarantee: whoever lives on the engine hears that it is lost before it is started again, and that it is ready only after a token came.
"""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from threading import Event
from types import FrameType
from typing import Protocol

from inference.engines.asking import work_done
from inference.engines.base import Engine, Reason, Step
from inference.errors import EngineCannotStart, EngineFailed

#: Two in a row: one alone may be a full engine's slow answer.
_MOST_SILENT_PROBES = 2


class Tenant(Protocol):
    """Whoever lives on the engine; called from the keeper's thread."""

    def step(self, step: Step) -> None:
        """The start has come this far."""
        ...

    def ready(self, url: str) -> None:
        """One token was answered: requests may come."""
        ...

    def tick(self) -> None:
        """The engine serves; called about once a second."""
        ...

    def lost(self, reason: Reason, again_in_s: float) -> None:
        """The engine does not serve any more, or did not start; it is started again after so many seconds."""
        ...

    def leave(self) -> None:
        """It is the end: finish what runs and send no more."""
        ...


@dataclass(slots=True, kw_only=True)
class Pauses:
    """The pauses before each start: doubled from the first to the longest; a long healthy life begins them anew."""

    first_s: float = 1.0
    longest_s: float = 60.0
    #: An engine that served this long was well.
    steady_s: float = 300.0
    _next_s: float | None = None

    def after(self, served_s: float) -> float:
        """The pause after an engine that served so long, 0 for never."""
        pause = self.first_s if self._next_s is None or served_s >= self.steady_s else self._next_s
        self._next_s = min(self.longest_s, 2 * pause)
        return min(pause, self.longest_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """How closely the engine is looked at, in seconds."""

    every_s: float = 1.0
    while_loading_s: float = 0.5
    #: A serving engine that has read and written nothing for so long is asked for a token.
    probe_s: float = 15.0
    #: For what runs when it is to end, and for the process to end thereafter.
    drain_s: float = 30.0
    grace_s: float = 45.0


def keep(engine: Engine, tenant: Tenant, *, watch: Watch | None = None) -> None:
    """Keep an engine and its tenant up until a signal tells to stop. Raises EngineCannotStart when starting it again would help nothing."""
    keeper = Keeper(engine, tenant, watch=watch)
    stop_on_signals(keeper.stopping)
    keeper.run()


def stop_on_signals(stopping: Event) -> None:
    """Set the event at SIGTERM, at Ctrl-C, and when the terminal goes, unless that was to be outlived (nohup)."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)


class Keeper:
    """One engine and its tenant. `run` is the whole life; another thread or a signal sets `stopping`."""

    def __init__(self, engine: Engine, tenant: Tenant, *, pauses: Pauses | None = None, watch: Watch | None = None) -> None:
        self._engine, self._tenant = engine, tenant
        self._pauses, self._watch = pauses or Pauses(), watch or Watch()
        self.stopping = Event()
        self._has_served = False

    def run(self) -> None:
        """Keep it up until told to stop. Raises EngineCannotStart when starting it again would help nothing."""
        try:
            while not self.stopping.is_set():
                reason, served_s = self._one_life()
                if self.stopping.is_set():
                    break
                self._engine.stop(0)
                # One that served can serve again: what its log says of odd requests is no reason to give up.
                if not served_s and (reason.lasting or (reason.known and not self._has_served)):
                    raise EngineCannotStart(reason.words)
                pause = self._pauses.after(served_s)
                self._tenant.lost(reason, pause)
                self.stopping.wait(pause)
        finally:
            self._end()

    def _end(self) -> None:
        self._tenant.leave()
        if self._engine.alive():
            self._engine.drain(self._watch.drain_s)
        self._engine.stop(self._watch.grace_s)

    def _one_life(self) -> tuple[Reason, float]:
        """Start it and watch it until it is lost; return why, and for how long it served."""
        try:
            url = self._engine.start()
        except EngineFailed as error:
            return Reason(words=str(error)), 0.0
        if not self._becomes_ready():
            return self._engine.reason(), 0.0
        self._has_served = True
        since = time.monotonic()
        self._tenant.ready(url)
        reason = self._watched()
        return reason, time.monotonic() - since

    def _becomes_ready(self) -> bool:
        while not self.stopping.is_set():
            while (step := self._engine.step()) is not None:
                self._tenant.step(step)
            if self._engine.ready():
                return True
            if not self._engine.alive():
                # What it said last has been written by now.
                return False
            self.stopping.wait(self._watch.while_loading_s)
        return False

    def _watched(self) -> Reason:
        """Look at it until it is dead or silent; return why it is lost."""
        done, seen_at, silent = work_done(self._engine.metrics()), time.monotonic(), 0
        while not self.stopping.wait(self._watch.every_s):
            if not self._engine.alive():
                return self._engine.reason()
            self._tenant.tick()
            # A busy engine proves by its figures that it works; an idle one, or one that hangs, by a token.
            if time.monotonic() - seen_at < self._watch.probe_s:
                continue
            if (figures := work_done(self._engine.metrics())) > done:
                done, seen_at, silent = figures, time.monotonic(), 0
                continue
            if self._engine.ready():
                # The token asked for is in the figures too, and is no work.
                done, seen_at, silent = work_done(self._engine.metrics()), time.monotonic(), 0
                continue
            silent += 1
            if silent >= _MOST_SILENT_PROBES:
                return self._silence()
        return Reason(words="it was told to stop")

    def _silence(self) -> Reason:
        reason = self._engine.reason()
        return reason if reason.lasting else Reason(words="the engine runs and answers nothing", known=False)
