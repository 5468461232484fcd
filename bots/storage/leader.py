"""Lets one of several processes act: the one that holds a Postgres advisory lock on its own connection."""

from __future__ import annotations

from sqlalchemy import Connection, Engine


class Leader:
    """A claim to the lead, valid as long as its connection is open."""

    def __init__(self, engine: Engine, *, key: int) -> None:
        self._engine = engine
        self._key = key
        self._connection: Connection | None = None

    def leads(self) -> bool:
        """Whether this process leads now; tries to take the lead. Raises DBAPIError when Postgres is unavailable."""
        if self._connection is not None:
            # The lock lasts as long as the connection, so any successful query proves both.
            self._connection.exec_driver_sql("select 1")
            return True
        connection = self._engine.connect()
        if connection.exec_driver_sql("select pg_try_advisory_lock(%s)", (self._key,)).scalar():
            self._connection = connection
            return True
        connection.close()
        return False

    def step_down(self) -> None:
        """Give up the lead; works after the connection broke, too."""
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None
