"""Keeps the parts running: a part that dies is restarted, with growing pauses; at the end all parts stop in order and in time."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from chinwag.local.processes import CannotStart, Child, is_ready
from chinwag.local.progress import Report

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
#: A part that ran this long has recovered: its next pause is the shortest again.
_STEADY_S = 60.0
#: Together below the 8 s within which everything has stopped.
_GRACE_S, _STORES_GRACE_S = 4.0, 2.0


@dataclass(slots=True, kw_only=True)
class Part:
    """One part: how it starts and when it is ready."""

    name: str
    start: Callable[[], Child]
    ready: Callable[[], bool] = lambda: True
    #: What is reported of it once it is ready, such as where it listens.
    how: str = "running"
    deadline_s: float = 60.0
    #: Postgres and Redis stop after everything that uses them.
    is_store: bool = False
    child: Child | None = None
    pause_s: float = _FIRST_PAUSE_S
    again_at: float | None = None
    restarts: int = 0


class Supervisor:
    """The parts of one stack, started from one thread: the kernel ends them when it ends."""

    def __init__(self, report: Report) -> None:
        self.parts: list[Part] = []
        self._report = report

    def launch(self, part: Part) -> Part:
        """Start a part without waiting for it."""
        part.child = part.start()
        self.parts.append(part)
        return part

    def is_ready(self, part: Part) -> bool:
        """Whether a part that was started is ready. Raises CannotStart when it has ended or takes too long."""
        child = part.child
        if child is None:
            raise CannotStart(f"{part.name} was never started")
        return is_ready(part.ready, child=child, deadline_s=part.deadline_s)

    def drop(self, part: Part) -> None:
        """Stop a part and forget it."""
        self.parts.remove(part)
        if part.child is not None:
            part.child.stop()

    def tick(self, *, starting: Collection[Part] = ()) -> None:
        """Restart what died, once its pause is over; what starts for the first time is its starter's."""
        for part in self.parts:
            if any(part is one for one in starting):
                continue
            if part.child is not None and not part.child.is_alive():
                self._note_death(part, part.child)
            if part.again_at is not None and time.monotonic() >= part.again_at:
                self._revive(part)

    def stop(self) -> None:
        """Stop every part: those that work first, those that store last."""
        for stores, grace_s in ((False, _GRACE_S), (True, _STORES_GRACE_S)):
            children = [part.child for part in self.parts if part.child is not None and part.is_store is stores]
            end = time.monotonic() + grace_s
            for child in children:
                child.ask_to_stop()
            for child in children:
                child.end(grace_s=end - time.monotonic())
        self.parts.clear()

    def _note_death(self, part: Part, child: Child) -> None:
        child.end(grace_s=0)
        if time.monotonic() - child.started > _STEADY_S:
            part.pause_s = _FIRST_PAUSE_S
        self._report.line(f"{part.name} ended (code {child.process.returncode}); restarting in {part.pause_s:g} s (log: {child.log})")
        part.again_at = time.monotonic() + part.pause_s
        part.pause_s = min(_LONGEST_PAUSE_S, 2 * part.pause_s)
        part.child = None

    def _revive(self, part: Part) -> None:
        part.again_at = None
        part.restarts += 1
        try:
            part.child = part.start()
        except (CannotStart, OSError) as error:
            self._report.line(f"{part.name} does not start: {error}; restarting in {part.pause_s:g} s")
            part.again_at = time.monotonic() + part.pause_s
            part.pause_s = min(_LONGEST_PAUSE_S, 2 * part.pause_s)
