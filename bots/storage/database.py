"""The way to Postgres: engines, one transaction with its scope, and the hot path of one function a transaction."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from bots.errors import StorageUnavailable

_REPEATS_AFTER_S = (0.05, 0.3, 1.0, 2.0)


def open_engine(url: str, *, pool: int, name: str, statement_timeout_s: float | None = None) -> Engine:
    """Make an engine with a bounded pool, on which each statement is a transaction; name shows up in pg_stat_activity."""
    options = "-c idle_in_transaction_session_timeout=5s -c lock_timeout=" + ("1s" if name.startswith("web") else "5s")
    if statement_timeout_s is not None:
        options += f" -c statement_timeout={int(statement_timeout_s * 1000)}"
    return create_engine(
        url,
        pool_size=pool,
        max_overflow=0,
        # Each statement its own transaction; unit() opens longer ones. The other way round costs two switches a statement.
        isolation_level="AUTOCOMMIT",
        pool_timeout=5,
        pool_recycle=1800,
        connect_args={
            "application_name": f"chinwag-{name}",
            "options": options,
            "connect_timeout": 3,
            # Works behind a transaction pooler, and a statement keeps its name on the wire.
            "prepare_threshold": None,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 15000,
        },
    )


@contextmanager
def unit(engine: Engine, *, contact: UUID | None = None) -> Generator[Connection]:
    """One transaction, within one contact's rows where one is given. Commits by leaving the block."""
    try:
        with engine.connect().execution_options(isolation_level="READ COMMITTED") as connection, connection.begin():
            if contact is not None:
                connection.execute(text("select set_config('app.contact_id', :contact, true)"), {"contact": str(contact)})
            yield connection
    except (OperationalError, PoolTimeout) as error:
        raise StorageUnavailable from error


@contextmanager
def hot(engine: Engine) -> Generator[Connection]:
    """A connection on which each statement is a transaction of its own: one SQL function, one round trip."""
    try:
        with engine.connect() as connection:
            yield connection
    except (OperationalError, PoolTimeout) as error:
        raise StorageUnavailable from error


def plan_anew(engine: Engine) -> None:
    """Let the connection that the pool gives plan its functions by what the tables hold now, for an engine whose hot calls share one.

    What was planned on an empty house reads twenty times as much in a full one, and Postgres plans anew by itself only once it has counted
    the rows, up to a minute later.
    """
    with hot(engine) as connection:
        connection.exec_driver_sql("discard plans")


def call(engine: Engine, statement: str, values: Sequence[Any], *, repeat: bool = True, delays: Sequence[float] = _REPEATS_AFTER_S) -> Any:
    """Run one SQL function in its own transaction and return its value.

    A lost connection proves nothing about the commit: cut before or after the COMMIT reached Postgres, psycopg raises the same
    OperationalError. So only what is safe to repeat is repeated.
    Raises StorageUnavailable.
    """
    return call_timed(engine, statement, values, repeat=repeat, delays=delays)[0]


def call_timed(
    engine: Engine, statement: str, values: Sequence[Any], *, repeat: bool = True, delays: Sequence[float] = _REPEATS_AFTER_S
) -> tuple[Any, float]:
    """Do what `call` does; with the monotonic time before which the statement cannot have run. Waiting for a connection is no part of it."""
    began: float | None = None
    for delay in (*(delays if repeat else ()), None):
        try:
            with engine.connect() as connection:
                # Of several tries the first may be the one that was committed.
                began = time.monotonic() if began is None else began
                return connection.exec_driver_sql(statement, tuple(values)).scalar(), began
        except (DBAPIError, PoolTimeout) as error:
            if not _passing(error) or delay is None:
                raise StorageUnavailable from error
            time.sleep(delay)
    raise AssertionError("unreachable")


def _passing(error: DBAPIError | PoolTimeout) -> bool:
    if isinstance(error, PoolTimeout | OperationalError) or error.connection_invalidated:
        return True
    raise error


def to_json(value: Any) -> str:
    """Encode a value for a jsonb parameter."""
    return msgspec.json.encode(value).decode()
