"""What `model serve` shows of its engine: a bar on a terminal, otherwise plain lines."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from inference.engines.base import Reason, Step
from inference.engines.keeper import EngineUser


class Progress:
    """Shows what happens to an engine, and passes each event on to another listener if there is one."""

    def __init__(self, where: str, inner: EngineUser | None = None, *, out: TextIO | None = None) -> None:
        self._where, self._inner = where, inner
        self._out = out or sys.stdout
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._began = time.monotonic()
        self._tenth: tuple[str, int] | None = None
        self._serves = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._end_bar()

    def step(self, step: Step) -> None:
        """Show the start's progress; without a terminal, a line for each new step and each tenth of one."""
        if self._inner is not None:
            self._inner.step(step)
        if self._out.isatty():
            self._draw(step)
            return
        tenth = (step.message, -1 if step.fraction is None else int(10 * step.fraction))
        if tenth != self._tenth:
            self._tenth = tenth
            self._line(step.message if step.fraction is None else f"{step.message}: {100 * step.fraction:.0f} %")

    def ready(self, url: str) -> None:
        """Print the address at which it answers."""
        self._end_bar()
        self._serves = True
        self._line(f"Ready after {time.monotonic() - self._began:.0f} s: {self._where}")
        if self._inner is not None:
            self._inner.ready(url)

    def tick(self) -> None:
        """Pass it on."""
        if self._inner is not None:
            self._inner.tick()

    def lost(self, reason: Reason, again_in_s: float) -> None:
        """Print why, and when it is started again."""
        self._end_bar()
        self._serves = False
        self._line(f"Lost: {reason.message}; restarting in {again_in_s:.0f} s")
        if self._inner is not None:
            self._inner.lost(reason, again_in_s)
        self._began = time.monotonic()

    def leave(self) -> None:
        """Print that running requests are waited for, unless the engine does not serve."""
        self._end_bar()
        if self._serves:
            self._line("Stopping: running requests are finished first")
        if self._inner is not None:
            self._inner.leave()

    def _draw(self, step: Step) -> None:
        if self._bar is None:
            self._bar = Bar(
                TextColumn("{task.description:<40}"), BarColumn(), TimeElapsedColumn(), console=Console(file=self._out), transient=True
            )
            self._bar.start()
            self._task = self._bar.add_task(step.message, total=None)
        if self._task is not None:
            total = None if step.fraction is None else 1.0
            self._bar.update(self._task, description=step.message, total=total, completed=step.fraction or 0.0)

    def _end_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()
        self._bar = self._task = None

    def _line(self, text: str) -> None:
        self._out.write(f"{text}\n")
        self._out.flush()
