"""A better model than the one that answers: fetched behind it, started beside it, and put first without a restart.

Guarantee: whatever fails here, the first model goes on answering, and one line says so.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TextIO

from bots.errors import BotsError, StorageUnavailable
from chinwag.local.models import ChatModel, ModelFile
from chinwag.local.own_endpoints import FIRST, OwnEndpoints, Served
from chinwag.local.processes import CannotStart
from chinwag.local.progress import Advance, Report
from chinwag.local.supervisor import Part, Supervisor

#: How often a look at the fetch, the engine or the database is worth it.
_EVERY_S = 1.0
#: An engine that ends so often before it has answered is given up.
_MOST_RESTARTS = 3


class Better:
    """The better model of a stack. `tick` is called by the thread that starts the parts, whose end is theirs."""

    def __init__(
        self,
        file: ModelFile,
        *,
        first: Served,
        serve: Callable[[ChatModel], tuple[Part, Served]],
        endpoints: OwnEndpoints,
        supervisor: Supervisor,
        report: Report,
    ) -> None:
        """`first` answers meanwhile; `serve` starts an engine with the better one."""
        self.file, self._first, self._serve = file, first, serve
        self._endpoints, self._supervisor, self._report = endpoints, supervisor, report
        self._bytes = _Bytes()
        self._found: ChatModel | None = None
        self._problem = ""
        self._running: tuple[Part, Served] | None = None
        self._look_at = 0.0
        self._is_over = False
        #: Whether it answers.
        self.is_first = False
        self._thread = threading.Thread(target=self._fetch, name="fetch", daemon=True)

    def begin(self) -> None:
        """Begin to fetch it."""
        self._thread.start()

    def tick(self) -> None:
        """Go on, without waiting for anything."""
        if self._is_over or time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + _EVERY_S
        if self._thread.is_alive():
            done = f"{self._bytes.there / 1e6:.0f} of {self.file.size / 1e6:.0f} MB ({self.percent} %)"
            self._report.status(f"Fetching {self.file.name}: {done}")
        elif self._found is None:
            self._give_up(self._problem)
        elif self._running is None:
            self._start(self._found)
        elif self._running[0].restarts >= _MOST_RESTARTS:
            self._give_up(f"{self.file.name} does not start; does it fit into memory?")
        elif self._running[0].child is not None and self._running[0].ready():
            self._take_over(self._running[1])

    @property
    def percent(self) -> int:
        """How much of it is here."""
        return min(100, 100 * self._bytes.there // self.file.size) if self.file.size else 0

    @property
    def words(self) -> str:
        """What the chat page says about it."""
        if self._is_over:
            return ""
        return f"A better one is being fetched ({self.percent} %)." if self._thread.is_alive() else "A better one is starting."

    def _fetch(self) -> None:
        try:
            self._found = self.file.fetch(self._bytes)
        except Exception as error:  # noqa: BLE001 - the thread's only way to say what is wrong
            self._problem = _one_line(error)

    def _start(self, model: ChatModel) -> None:
        self._report.status(f"Starting {self.file.name}")
        try:
            self._running = self._serve(model)
        except (CannotStart, OSError) as error:
            self._give_up(_one_line(error))

    def _take_over(self, better: Served) -> None:
        try:
            self.is_first = self._endpoints.put_first(better, self._first)
        except StorageUnavailable:
            # Postgres is being restarted.
            return
        except BotsError as error:
            self._give_up(str(error))
            return
        self._is_over = True
        self._report.status("")
        if self.is_first:
            self._report.line(f"{better.model} answers from now on, and {self._first.model} where it cannot.")
        else:
            self._report.line(
                f"{better.model} runs as endpoint {FIRST}; the profile `default` has endpoints of its own, which stay:"
                f" `chinwag profile set default {FIRST},...` puts it first."
            )

    def _give_up(self, why: str) -> None:
        self._is_over = True
        if self._running is not None:
            self._supervisor.drop(self._running[0])
        self._report.status("")
        self._report.line(f"{self._first.model} goes on answering: {why}")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


class _Bytes(Report):
    """How many bytes have come, in the place of lines."""

    def __init__(self, out: TextIO | None = None) -> None:
        super().__init__(out)
        self.there = 0

    def line(self, text: str) -> None:
        """Print nothing."""

    @contextmanager
    def download(self, what: str, total: int) -> Generator[Advance]:
        """Count the bytes."""
        del what, total

        def advance(there: int) -> None:
            self.there = there

        yield advance
