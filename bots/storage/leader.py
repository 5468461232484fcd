"""Lets one of several processes act: the one that holds a Postgres advisory lock on its own connection."""

from __future__ import annotations

from sqlalchemy import Connection, Engine


class Leader:
    """A claim to the lead, valid as long as its connection is open."""

    def __init__(self, engine: Engine, *, key: int) -> None:
        self._engine = engine
        self._key = key
        #: The connection by which this process leads; None: it does not. The lock lasts as long as that, so whatever succeeds on it proves both.
        self.connection: Connection | None = None

    def leads(self) -> bool:
        """Whether this process leads, as far as it knows; tries to take the lead. Raises DBAPIError when Postgres is unavailable."""
        if self.connection is None:
            connection = self._engine.connect()
            if connection.exec_driver_sql("select pg_try_advisory_lock(%s)", (self._key,)).scalar():
                self.connection = connection
            else:
                connection.close()
        return self.connection is not None

    def step_down(self) -> None:
        """Give up the lead; works after the connection broke, too."""
        if self.connection is not None:
            self.connection.invalidate()
            self.connection.close()
            self.connection = None
