"""Which one of several processes acts: the one that holds a Postgres advisory lock on its own connection."""

from __future__ import annotations

from sqlalchemy import Connection, Engine


class Leader:
    """A claim to lead, held as long as the connection lives."""

    def __init__(self, engine: Engine, *, key: int) -> None:
        self._engine = engine
        self._key = key
        self._connection: Connection | None = None

    def leads(self) -> bool:
        """Whether this process leads now; tries to take the lead. Raises DBAPIError when Postgres is away."""
        if self._connection is not None:
            # The lock lives as long as the connection: asking it anything proves both.
            self._connection.exec_driver_sql("select 1")
            return True
        connection = self._engine.connect()
        if connection.exec_driver_sql("select pg_try_advisory_lock(%s)", (self._key,)).scalar():
            self._connection = connection
            return True
        connection.close()
        return False

    def step_down(self) -> None:
        """Give up the lead, also after the connection broke."""
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None
