"""What this process works on right now: the leases to renew, and the turns the watchdog looks at."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from uuid import UUID


class InFlight:
    """The turns and sends in hand, by thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turns: dict[int, tuple[UUID, float]] = {}
        self._tasks = 0
        self._batch_tasks = 0
        #: Set on SIGTERM: a task looks at it between two turns.
        self.stopping = threading.Event()
        #: Monotonic time of the last task that arrived.
        self.last_task_at = time.monotonic()

    @contextmanager
    def task(self) -> Generator[None]:
        """Count a Celery task while it works."""
        with self._lock:
            self._tasks += 1
            self.last_task_at = time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                self._tasks -= 1

    @contextmanager
    def batch_place(self, most: int) -> Generator[bool]:
        """Hold one of the places that batches may have in this process; False when all are taken."""
        with self._lock:
            is_free = self._batch_tasks < most
            self._batch_tasks += is_free
        try:
            yield is_free
        finally:
            with self._lock:
                self._batch_tasks -= is_free

    @contextmanager
    def turn(self, conversation: UUID) -> Generator[None]:
        """Hold a conversation while its turn is worked on."""
        me = threading.get_ident()
        with self._lock:
            self._turns[me] = (conversation, time.monotonic())
        try:
            yield
        finally:
            with self._lock:
                del self._turns[me]

    def conversations(self) -> list[UUID]:
        """The conversations in hand."""
        with self._lock:
            return [conversation for conversation, _ in self._turns.values()]

    def busy(self) -> int:
        """How many tasks are running."""
        return self._tasks

    def oldest_s(self) -> float:
        """The age of the oldest turn, in seconds."""
        with self._lock:
            started = min((started for _, started in self._turns.values()), default=None)
        return 0.0 if started is None else time.monotonic() - started
