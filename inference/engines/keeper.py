"""Keeps one engine running: starts it, waits for its first token, watches it, and starts it again after growing pauses.

Guarantee: the engine's user is told that it is lost before it is started again, and that it is ready only after it answered one token.
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

#: Two in a row, since one alone may be a slow answer of a full engine.
_MOST_SILENT_PROBES = 2


class EngineUser(Protocol):
    """Whoever depends on the engine, such as a worker; called from the keeper's thread."""

    def step(self, step: Step) -> None:
        """The start has come this far."""
        ...

    def ready(self, url: str) -> None:
        """One token was answered, so requests may be sent."""
        ...

    def tick(self) -> None:
        """Called about once a second while the engine serves."""
        ...

    def lost(self, reason: Reason, again_in_s: float) -> None:
        """The engine does not serve any more, or did not start. It is started again after this many seconds."""
        ...

    def leave(self) -> None:
        """The keeper is ending: finish running requests and send no more."""
        ...


@dataclass(slots=True, kw_only=True)
class Pauses:
    """The pauses before each new start, doubled from the first to the longest. After a long healthy run they begin at the first again."""

    first_s: float = 1.0
    longest_s: float = 60.0
    #: An engine that served this long was healthy.
    steady_s: float = 300.0
    _next_s: float | None = None

    def after(self, served_s: float) -> float:
        """The pause after an engine that served this long; 0 if it never did."""
        pause = self.first_s if self._next_s is None or served_s >= self.steady_s else self._next_s
        self._next_s = min(self.longest_s, 2 * pause)
        return min(pause, self.longest_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """How often the engine is checked, in seconds."""

    every_s: float = 1.0
    while_loading_s: float = 0.5
    #: A serving engine that has read and written nothing for this long is asked for a token.
    probe_s: float = 15.0
    #: How long running requests may take when the engine ends, and the process after them.
    drain_s: float = 30.0
    grace_s: float = 45.0


def keep(engine: Engine, user: EngineUser, *, watch: Watch | None = None) -> None:
    """Keep an engine running until a signal says to stop. Raises EngineCannotStart when starting it again would not help."""
    keeper = Keeper(engine, user, watch=watch)
    stop_on_signals(keeper.stopping)
    keeper.run()


def stop_on_signals(stopping: Event) -> None:
    """Set the event at SIGTERM, at Ctrl-C, and when the terminal closes, unless the process ignores that (nohup)."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)


class Keeper:
    """One engine and its user. `run` does all the work until another thread or a signal sets `stopping`."""

    def __init__(self, engine: Engine, user: EngineUser, *, pauses: Pauses | None = None, watch: Watch | None = None) -> None:
        self._engine, self._user = engine, user
        self._pauses, self._watch = pauses or Pauses(), watch or Watch()
        self.stopping = Event()
        self._has_served = False

    def run(self) -> None:
        """Keep it running until told to stop. Raises EngineCannotStart when starting it again would not help."""
        try:
            while not self.stopping.is_set():
                reason, served_s = self._run_once()
                if self.stopping.is_set():
                    break
                self._engine.stop(0)
                # An engine that has served can serve again, so errors in its log are no reason to give up.
                if not served_s and (reason.lasting or (reason.known and not self._has_served)):
                    raise EngineCannotStart(reason.message)
                pause = self._pauses.after(served_s)
                self._user.lost(reason, pause)
                self.stopping.wait(pause)
        finally:
            self._end()

    def _end(self) -> None:
        self._user.leave()
        if self._engine.alive():
            self._engine.drain(self._watch.drain_s)
        self._engine.stop(self._watch.grace_s)

    def _run_once(self) -> tuple[Reason, float]:
        """Start it and watch it until it is lost; return why, and for how long it served."""
        try:
            url = self._engine.start()
        except EngineFailed as error:
            return Reason(message=str(error)), 0.0
        if not self._becomes_ready():
            return self._engine.reason(), 0.0
        self._has_served = True
        since = time.monotonic()
        self._user.ready(url)
        reason = self._watched()
        return reason, time.monotonic() - since

    def _becomes_ready(self) -> bool:
        while not self.stopping.is_set():
            while (step := self._engine.step()) is not None:
                self._user.step(step)
            if self._engine.ready():
                return True
            if not self._engine.alive():
                # By now its last output has been written.
                return False
            self.stopping.wait(self._watch.while_loading_s)
        return False

    def _watched(self) -> Reason:
        """Check it until it is dead or silent; return why it is lost."""
        done, seen_at, silent = work_done(self._engine.metrics()), time.monotonic(), 0
        while not self.stopping.wait(self._watch.every_s):
            if not self._engine.alive():
                return self._engine.reason()
            self._user.tick()
            # The metrics prove that a busy engine works. An idle one, or one that hangs, is asked for a token.
            if time.monotonic() - seen_at < self._watch.probe_s:
                continue
            if (figures := work_done(self._engine.metrics())) > done:
                done, seen_at, silent = figures, time.monotonic(), 0
                continue
            if self._engine.ready():
                # That token is in the metrics too, and does not count as work.
                done, seen_at, silent = work_done(self._engine.metrics()), time.monotonic(), 0
                continue
            silent += 1
            if silent >= _MOST_SILENT_PROBES:
                return self._silence()
        return Reason(message="it was told to stop")

    def _silence(self) -> Reason:
        reason = self._engine.reason()
        return reason if reason.lasting else Reason(message="the engine runs but answers nothing", known=False)
