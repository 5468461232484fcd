"""How long the rest of a response is waited for once its answer is whole: for the token counts, and for the end that lets the connection be kept.

A server that holds its connections open costs one wait, not one for each answer: after a wait in vain the next ones are as good as none, for a minute.
"""

from __future__ import annotations

import time
from collections.abc import Callable

#: The counts come with the finish reason or right behind it; the end comes with the last bytes. Neither is worth a person's time.
_FOR_COUNTS_S, _FOR_END_S = 0.5, 0.05
#: Enough for what has already arrived.
_LEAST_S = 0.005
_REMEMBERED_S = 60.0


class Patience:
    """What one client learned about its server's ends; safe between threads, which at worst wait once more."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._no_counts_until = self._no_end_until = 0.0

    def wait_s(self, *, is_counted: bool) -> float:
        """Return how long to wait for the end of a response whose tokens are counted, or for its counts."""
        if is_counted:
            return _LEAST_S if self._clock() < self._no_end_until else _FOR_END_S
        return _LEAST_S if self._clock() < self._no_counts_until else _FOR_COUNTS_S

    def was_in_vain(self, *, is_counted: bool) -> None:
        """Note that nothing came in that time."""
        if is_counted:
            self._no_end_until = self._clock() + _REMEMBERED_S
        else:
            self._no_counts_until = self._clock() + _REMEMBERED_S

    def was_rewarded(self) -> None:
        """Note that the response ended."""
        self._no_counts_until = self._no_end_until = 0.0
