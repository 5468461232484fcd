"""Log lines on their way out: whoever logs hands a line over, and one thread writes those that have come since.

A thread that writes a line itself waits for the lock of the stream, whose holder has let go of the interpreter to write: with hundreds of threads all of
them wait there.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections import deque
from contextlib import suppress
from typing import TextIO

#: So long lines gather.
_GATHER_S = 0.02
#: How often whoever waits for the last lines looks.
_LOOK_S = 0.002
#: So many are kept while nobody reads them; older ones are lost, and the next line says how many.
_MOST = 50_000


class LogLines:
    """Lines for one stream, in their order. A logger of structlog, and a stream for the standard library's handlers. Never waits for its reader."""

    def __init__(self, out: TextIO, *, most: int = _MOST) -> None:
        self._out, self._most = out, most
        self._lines = deque[str]()
        self._lost = 0
        self._came = threading.Event()
        #: Whether the thread writes now, and whether somebody waits for it.
        self._is_writing = False
        self._hurries = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()
        atexit.register(self.flush_all)

    def msg(self, line: str) -> None:
        """Hand over a line."""
        self.write(line + "\n")

    log = debug = info = warn = warning = msg
    fatal = failure = err = error = critical = exception = msg

    def write(self, text: str) -> None:
        """Hand over a text that ends with a line's end."""
        self._lines.append(text)
        if len(self._lines) > self._most:
            # Another thread may have taken it meanwhile.
            with suppress(IndexError):
                self._lines.popleft()
                self._lost += 1
        if not self._came.is_set():
            self._came.set()

    def flush(self) -> None:
        """Do nothing: the thread writes within moments, and only it writes, so that nobody else ever waits for a reader."""

    def flush_all(self, *, within_s: float = 1.0) -> None:
        """Wait until what has come is written, for a process that ends. Gives up after a time where nobody reads it."""
        until = time.monotonic() + within_s
        self._hurries.set()
        self._came.set()
        while (self._lines or self._is_writing) and time.monotonic() < until:
            time.sleep(_LOOK_S)
        self._hurries.clear()

    def _run(self) -> None:
        while True:
            self._came.wait()
            self._hurries.wait(_GATHER_S)
            self._came.clear()
            self._is_writing = True
            self._write_out()
            self._is_writing = False

    def _write_out(self) -> None:
        lines: list[str] = []
        with suppress(IndexError):
            while True:
                lines.append(self._lines.popleft())
        if self._lost:
            lost, self._lost = self._lost, 0
            lines.insert(0, f'{{"lines": {lost}, "event": "log_lines_lost", "level": "warning"}}\n')
        # A stream that was closed, or whose reader is gone, is no reason to end.
        with suppress(OSError, ValueError):
            self._out.write("".join(lines))
            self._out.flush()
