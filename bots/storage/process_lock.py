"""How a worker process shows that it lives: by a lock that Postgres holds for as long as its connection is open.

Guarantee: a connection that is lost is replaced at once, and the lock taken again, so that a living process does not look dead for longer than a moment.
"""

from __future__ import annotations

import select
import threading
import time
from typing import Any
from uuid import UUID

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from bots.errors import StorageUnavailable
from bots.storage.leader import Leader

#: Between two tries where an earlier session of this process, which Postgres does not yet know to be gone, still has the lock.
_AGAIN_S = 1.0


class ProcessLock:
    """A process's own lock, also beside others of its name. `heartbeat` frees what the process held only once the lock is gone. Safe between threads."""

    def __init__(self, engine: Engine, *, boot: UUID) -> None:
        """One connection of the engine is kept."""
        self._boot = boot
        # Half of a random id is enough of a key; process_is_dead (claim.sql) computes the same.
        self._lock = Leader(engine, key=int.from_bytes(boot.bytes[:8], "big", signed=True))
        self._one = threading.Lock()

    def leave(self) -> None:
        """Give the lock up, as the end of the process does."""
        with self._one:
            self._lock.step_down()

    def hold(self) -> bool:
        """Take the lock, or make sure that it is still held; after a lost connection it is taken again. Raises StorageUnavailable."""
        with self._one:
            try:
                connection = self._lock.connection
                if connection is not None and connection.exec_driver_sql("select process_is_dead(%s)", (self._boot,)).scalar():
                    # A pooler between us and Postgres went on with another session, and ended the one that had the lock.
                    self._lock.step_down()
                return self._lock.leads()
            except DBAPIError as error:
                self._lock.step_down()
                raise StorageUnavailable from error

    def keep(self, for_s: float) -> None:
        """Hold it for so long, on a new connection if its own is lost meanwhile. Raises StorageUnavailable where Postgres is away."""
        if not self.hold():
            time.sleep(min(for_s, _AGAIN_S))
        elif self._stirs(for_s):
            try:
                self.hold()
            except StorageUnavailable:
                self.hold()

    def _stirs(self, within_s: float) -> bool:
        """Whether the connection ended within that time, or Postgres said something on it."""
        connection = self._lock.connection
        driver: Any = None if connection is None else connection.connection.driver_connection
        if driver is None or driver.closed:
            return True
        poll = select.poll()
        poll.register(driver.fileno(), select.POLLIN)
        return bool(poll.poll(within_s * 1000))
