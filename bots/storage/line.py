"""A connection on which a statement is sent now and its answer is read once it has come: for an event loop, which needs no thread to wait for it.

Only `open` and `close` may take time. Each statement is a transaction of its own, and one is under way at most.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import psycopg
from psycopg import pq
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import PoolProxiedConnection

from bots.errors import StorageUnavailable

#: As with the pools: a connection that balancers may have forgotten is not used for ever.
_RENEWED_S = 1800.0


class Refused(Exception):
    """Postgres did not run the statement, or undid it."""


class Line:
    """One connection of an engine, kept for as long as it works."""

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine, self._clock = engine, clock
        self._held: PoolProxiedConnection | None = None
        self._connection: pq.abc.PGconn | None = None
        self._opened = 0.0
        self._is_broken = False
        self._answer: bytes | None = None
        self._refused = False

    @property
    def is_open(self) -> bool:
        """Whether a statement can be sent."""
        return self._held is not None and not self._is_broken and self._clock() - self._opened < _RENEWED_S

    def open(self) -> None:
        """Connect, if need be anew. Raises StorageUnavailable."""
        self.close()
        try:
            self._held = self._engine.raw_connection()
        except (DBAPIError, PoolTimeout, psycopg.Error) as error:
            raise StorageUnavailable from error
        driver = self._held.driver_connection
        assert isinstance(driver, psycopg.Connection)
        self._connection = driver.pgconn
        self._is_broken, self._opened = False, self._clock()

    def close(self) -> None:
        """Give the connection up."""
        held, self._held, self._connection = self._held, None, None
        if held is not None:
            # What is under way on it may not be over.
            held.invalidate()

    def fileno(self) -> int:
        """What becomes readable when there is something to read. Raises StorageUnavailable."""
        try:
            return self._open().socket
        except psycopg.Error as error:
            self._is_broken = True
            raise StorageUnavailable from error

    def send(self, statement: str, values: Sequence[bytes] = (), *, binary: Sequence[int] = ()) -> bool:
        """Send a statement with $1 and so on; the places of `binary` count from 0. Says as `flush` whether it is gone. Raises StorageUnavailable."""
        self._answer, self._refused = None, False
        formats = [pq.Format.BINARY if place in binary else pq.Format.TEXT for place in range(len(values))]
        try:
            self._open().send_query_params(statement.encode(), values, param_formats=formats)
        except psycopg.Error as error:
            self._is_broken = True
            raise StorageUnavailable from error
        return self.flush()

    def flush(self) -> bool:
        """Send more of it; whether all of it is gone. Raises StorageUnavailable."""
        try:
            return self._open().flush() == 0
        except psycopg.Error as error:
            self._is_broken = True
            raise StorageUnavailable from error

    def read(self) -> bool:
        """Read what has come; whether the answer is whole. Raises StorageUnavailable where it will not come: nobody knows what became of the statement."""
        connection = self._open()
        try:
            connection.consume_input()
            while not connection.is_busy():
                result = connection.get_result()
                if result is None:
                    return True
                self._refused = self._refused or result.status not in {pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK}
                if result.status == pq.ExecStatus.TUPLES_OK:
                    self._answer = result.get_value(0, 0)
        except psycopg.Error as error:
            self._is_broken = True
            raise StorageUnavailable from error
        return False

    def answer(self) -> bytes | None:
        """The value that the statement returned. Raises Refused."""
        if self._refused:
            raise Refused
        return self._answer

    def _open(self) -> pq.abc.PGconn:
        if self._connection is None:
            raise StorageUnavailable
        return self._connection
