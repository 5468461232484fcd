"""Shows contacts that an answer is being written. Best effort: it never delays a turn, and is dropped first under load."""

from __future__ import annotations

import heapq
import itertools
import queue
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

import structlog

log = structlog.get_logger()

#: An answer that is ready at once needs no typing indicator.
_FIRST_AFTER_S = 0.5
#: An indicator is renewed after this share of its life: WhatsApp's fades after 25 s, those of pages after 20 s.
_AGAIN_SHARE = 0.8
#: An indicator that is this late helps nobody.
_TOO_LATE_S = 2.0
_THREADS = 4
#: What comes due within so long goes out together: each by itself would wake two threads.
_TOGETHER_S = 0.05


class TypingKeeper:
    """Calls the show function of each turn in work soon after its start, and again while it lasts."""

    def __init__(self) -> None:
        self._wake = threading.Condition()
        self._heap: list[tuple[float, int, float, Callable[[], None]]] = []
        self._living: set[int] = set()
        self._numbers = itertools.count()
        self._due: queue.SimpleQueue[tuple[float, Callable[[], None]]] = queue.SimpleQueue()
        self._started = False

    @contextmanager
    def shown(self, show: Callable[[], None], *, lasts_s: float = 25.0) -> Generator[None]:
        """Renew the indicator, which the platform shows for lasts_s, inside the block."""
        with self._wake:
            number = next(self._numbers)
            self._living.add(number)
            heapq.heappush(self._heap, (time.monotonic() + _FIRST_AFTER_S, number, lasts_s * _AGAIN_SHARE, show))
            self._start()
            if self._heap[0][1] == number:
                # Otherwise the thread wakes in time by itself.
                self._wake.notify()
        try:
            yield
        finally:
            with self._wake:
                self._living.discard(number)

    def _start(self) -> None:
        if not self._started:
            self._started = True
            threading.Thread(target=self._hand_out, name="typing", daemon=True).start()
            for n in range(_THREADS):
                threading.Thread(target=self._run, name=f"typing-{n}", daemon=True).start()

    def _hand_out(self) -> None:
        while True:
            for one in self._all_due():
                self._due.put(one)
            time.sleep(_TOGETHER_S)

    def _run(self) -> None:
        while True:
            due, show = self._due.get()
            if time.monotonic() - due > _TOO_LATE_S:
                continue
            try:
                show()
            except Exception as error:  # noqa: BLE001 - a channel's error must not end the thread that shows all contacts' indicators
                log.debug("typing_not_shown", error=type(error).__name__)

    def _all_due(self) -> list[tuple[float, Callable[[], None]]]:
        """Wait until an indicator is due, and return all that are."""
        with self._wake:
            while not (found := self._taken(time.monotonic())):
                self._wake.wait(self._heap[0][0] - time.monotonic() if self._heap else None)
            return found

    def _taken(self, now: float) -> list[tuple[float, Callable[[], None]]]:
        """Take what is due out of the heap, to be renewed later, and what has ended."""
        found: list[tuple[float, Callable[[], None]]] = []
        while self._heap:
            due, number, again_s, show = self._heap[0]
            if number not in self._living:
                heapq.heappop(self._heap)
            elif due > now:
                break
            else:
                heapq.heapreplace(self._heap, (now + again_s, number, again_s, show))
                found.append((due, show))
        return found
