"""A circuit breaker: stops calls to a server that keeps failing, and tries it again now and then. Safe between threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from inference.errors import CircuitOpen


class Breaker:
    """Opens after `failures` failures in a row. While it is open it lets one call through every `probe_s` seconds.

    Every call that `enter` let through reports once: `succeeded`, `failed`, or `busy` (full, so not a failure).
    """

    def __init__(self, *, failures: int = 5, probe_s: float = 5.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = failures
        self._probe_s = probe_s
        self._clock = clock
        self._lock = threading.Lock()
        self._in_a_row = 0
        self._open = False
        self._next_probe = 0.0

    @property
    def is_open(self) -> bool:
        """Whether calls are refused now."""
        return self._open

    @property
    def is_ready(self) -> bool:
        """Whether a call would be let through now: the breaker is closed, or it is time to try again."""
        return not self._open or self._clock() >= self._next_probe

    def enter(self) -> None:
        """Let the call through. Raises CircuitOpen while the breaker is open."""
        if not self._open:
            return
        with self._lock:
            if not self._open:
                return
            now = self._clock()
            if now < self._next_probe:
                raise CircuitOpen
            self._next_probe = now + self._probe_s

    def succeeded(self) -> None:
        """The model answered, whatever it said."""
        if self._in_a_row or self._open:
            self._close()

    def failed(self) -> None:
        """The model could not be reached, broke, or was silent for too long."""
        with self._lock:
            self._in_a_row += 1
            if self._in_a_row >= self._limit and not self._open:
                self._open = True
                self._next_probe = self._clock() + self._probe_s

    def busy(self) -> None:
        """The model is full, or slow because it is full. It works, so an open breaker closes, and no failure is counted."""
        if self._open:
            self._close()

    def _close(self) -> None:
        with self._lock:
            self._in_a_row = 0
            self._open = False
