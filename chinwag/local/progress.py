"""What `make run` prints while it works: one line for each part, and on a terminal a bar for a download."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

#: Called with the number of bytes so far.
Advance = Callable[[int], None]


class Report:
    """Lines on a stream, each flushed: what, done or why not, seconds."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._is_terminal = self._out.isatty()
        self._status = ""

    def line(self, text: str) -> None:
        """Print a plain line."""
        shown = self._status
        self.status("")
        self._write(f"{text}\n")
        self.status(shown)

    def status(self, text: str) -> None:
        """Show a text in the terminal's last line, in the place of the one before; it is never printed elsewhere."""
        if not self._is_terminal or text == self._status:
            return
        self._status = text
        width = shutil.get_terminal_size().columns
        self._write(f"\r\x1b[K{text[: width - 1]}")

    def _write(self, text: str) -> None:
        # A closed terminal must not prevent the stack from stopping in order.
        with suppress(OSError, ValueError):
            self._out.write(text)
            self._out.flush()

    def done(self, what: str, how: str, seconds: float) -> None:
        """A part is ready."""
        self.line(f"{what:<14}{how:<44} {seconds:5.1f} s")

    def failed(self, what: str, why: str) -> None:
        """A part is not ready, and why."""
        self.line(f"{what:<14}failed: {why}")

    @contextmanager
    def download(self, what: str, total: int) -> Generator[Advance]:
        """A bar that follows the bytes; without a terminal, a line every tenth."""
        if self._is_terminal:
            columns = (TextColumn("{task.description:<13}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
            with Progress(*columns, console=Console(file=self._out), transient=True) as bar:
                task = bar.add_task(what, total=total or None)
                yield lambda there: bar.update(task, completed=there)
            return
        told = 0

        def tell(there: int) -> None:
            nonlocal told
            tenth = 10 * there // total if total else 0
            if tenth > told:
                told = tenth
                self.line(f"{what:<14}{there / 1e6:.0f} of {total / 1e6:.0f} MB")

        yield tell
