"""How a worker process shows that it lives: by a lock that Postgres holds for as long as its connection is open."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from bots.errors import StorageUnavailable
from bots.storage.leader import Leader


class ProcessLock:
    """A process's own lock, also beside others of its name. `heartbeat` frees what the process held only once the lock is gone."""

    def __init__(self, engine: Engine, *, boot: UUID) -> None:
        """One connection of the engine is kept."""
        # Half of a random id is enough of a key; process_is_dead (claim.sql) computes the same.
        self._lock = Leader(engine, key=int.from_bytes(boot.bytes[:8], "big", signed=True))

    def leave(self) -> None:
        """Give the lock up, as the end of the process does."""
        self._lock.step_down()

    def hold(self) -> bool:
        """Take the lock, or make sure that it is still held; after a lost connection it is taken again. Raises StorageUnavailable."""
        try:
            return self._lock.leads()
        except DBAPIError as error:
            self._lock.step_down()
            raise StorageUnavailable from error
