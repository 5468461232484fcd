"""What this process works on right now: the leases to renew, the work that the watchdog watches, the tasks and batch slots in use, and its sends."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from uuid import UUID


class InFlight:
    """The work in progress, by thread. Safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: By thread: the conversation whose lease is renewed, if one is, and when the work began.
        self._work: dict[int, tuple[UUID | None, float]] = {}
        self._tasks = 0
        self._batch_tasks = 0
        #: By thread: the account from which it is sending, and since when.
        self._sends: dict[int, tuple[UUID, float]] = {}
        #: Set on SIGTERM: a task checks it between two pieces of work.
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
    def batch_slot(self, most: int) -> Generator[bool]:
        """Hold one of the slots that batches may have in this process; False when all are taken."""
        with self._lock:
            is_free = self._batch_tasks < most
            self._batch_tasks += is_free
        try:
            yield is_free
        finally:
            with self._lock:
                self._batch_tasks -= is_free

    @contextmanager
    def work(self, *, lease: UUID | None) -> Generator[None]:
        """Show a piece of work to the watchdog, and renew the lease of a conversation while it lasts.

        lease is that conversation's id; None where the lease is long enough for the work and nobody renews it.
        """
        me = threading.get_ident()
        with self._lock:
            self._work[me] = (lease, time.monotonic())
        try:
            yield
        finally:
            with self._lock:
                del self._work[me]

    @contextmanager
    def send(self, account: UUID) -> Generator[None]:
        """Show that a message of this account is on its way to the platform."""
        me = threading.get_ident()
        with self._lock:
            self._sends[me] = (account, time.monotonic())
        try:
            yield
        finally:
            with self._lock:
                del self._sends[me]

    def slow_sends(self, than_s: float) -> Mapping[UUID, int]:
        """How many messages of each account have been on their way for longer than that."""
        before = time.monotonic() - than_s
        with self._lock:
            return Counter(account for account, since in self._sends.values() if since < before)

    def leases(self) -> list[UUID]:
        """The conversations whose leases are to be renewed."""
        with self._lock:
            return [lease for lease, _ in self._work.values() if lease is not None]

    def busy(self) -> int:
        """How many tasks are running."""
        return self._tasks

    def oldest_s(self) -> float:
        """The age of the oldest piece of work, in seconds."""
        with self._lock:
            started = min((started for _, started in self._work.values()), default=None)
        return 0.0 if started is None else time.monotonic() - started
