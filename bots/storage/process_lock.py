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

#: Between two tries where Postgres is away, or an earlier session of this process, which it does not yet know to be gone, still has the lock.
_AGAIN_S = 0.5


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
        """Hold it for so long, or until the connection stirs; one that is lost is replaced at once. Raises StorageUnavailable where Postgres is away."""
        try:
            is_held = self._hold_again()
        except StorageUnavailable:
            time.sleep(_AGAIN_S)
            raise
        if is_held:
            self._wait(for_s)
        else:
            time.sleep(_AGAIN_S)

    def _hold_again(self) -> bool:
        try:
            return self.hold()
        except StorageUnavailable:
            # The connection was lost: on to a new one.
            return self.hold()

    def _wait(self, for_s: float) -> None:
        """Wait, and no longer than until the connection ends or Postgres says something on it."""
        connection = self._lock.connection
        driver: Any = None if connection is None else connection.connection.driver_connection
        if driver is not None and not driver.closed:
            poll = select.poll()
            poll.register(driver.fileno(), select.POLLIN)
            poll.poll(for_s * 1000)
