"""When a task does a piece of work of another queue of its process: as many do as there is work waiting elsewhere.

A task goes on claiming in one queue for many seconds. Without this a crowd in one profile would hold every slot for so long, while people of another
profile, or answers to be sent, wait in a queue of their own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence

from bots.storage.queues import is_batch

#: How old what is known of the queues may be.
_FRESH_S = 0.5


class Elsewhere:
    """What waits in the queues that this process consumes. Safe between threads."""

    def __init__(
        self, queues: Sequence[str], read: Callable[[], Mapping[str, int]], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """What read returns: how much is due in each queue where something is; it is called twice a second at most, by one thread."""
        self._queues, self._read, self._clock = queues, read, clock
        self._lock = threading.Lock()
        self._due: dict[str, int] = {}
        self._read_at = float("-inf")

    def wanted(self, queue: str) -> str | None:
        """The other queue that a task of this one is to do a piece of now, counted against what waits there; None: it goes on.

        Batches give way to batches alone: people go before them in any case, and never give way to them. Raises what read raises.
        """
        others = [other for other in self._queues if other != queue and is_batch(other) == is_batch(queue)]
        if not others or not self._lock.acquire(blocking=False):
            return None
        try:
            if self._clock() - self._read_at >= _FRESH_S:
                self._due = dict(self._read())
                self._read_at = self._clock()
            wanted = next((other for other in others if self._due.get(other, 0) > 0), None)
            if wanted is not None:
                self._due[wanted] -= 1
            return wanted
        finally:
            self._lock.release()
