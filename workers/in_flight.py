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
        #: By thread: the account for which it answers or sends; and since when it is sending.
        self._held: dict[int, UUID] = {}
        self._sends: dict[int, float] = {}
        #: When a send of these accounts was last seen to take long.
        self._slow: dict[UUID, float] = {}
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
    def work(self, *, lease: UUID | None, account: UUID | None = None) -> Generator[None]:
        """Show a piece of work to the watchdog, and renew the lease of a conversation while it lasts.

        lease is that conversation's id; None where the lease is long enough for the work and nobody renews it. account: over which it is answered.
        """
        me = threading.get_ident()
        with self._lock:
            self._work[me] = (lease, time.monotonic())
            if account is not None:
                self._held[me] = account
        try:
            yield
        finally:
            with self._lock:
                del self._work[me]
                self._held.pop(me, None)

    @contextmanager
    def send(self, account: UUID) -> Generator[None]:
        """Show that a message of this account is on its way to the platform."""
        me = threading.get_ident()
        with self._lock:
            is_turn = me in self._held
            self._held[me], self._sends[me] = account, time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                del self._sends[me]
                if not is_turn:
                    del self._held[me]

    def held_by_slow(self, *, than_s: float, for_s: float) -> Mapping[UUID, tuple[int, int]]:
        """How many slots are held, and how many of them by sends, of each account of which a send has taken longer than that within the last for_s seconds."""
        now = time.monotonic()
        with self._lock:
            for thread, since in self._sends.items():
                if now - since > than_s:
                    self._slow[self._held[thread]] = now
            self._slow = {account: seen for account, seen in self._slow.items() if now - seen < for_s}
            held = Counter(account for account in self._held.values() if account in self._slow)
            sends = Counter(self._held[thread] for thread in self._sends)
            return {account: (count, sends[account]) for account, count in held.items()}

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
