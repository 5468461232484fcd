"""Access to Postgres: engines, a transaction with its scope, and calls of one SQL function in a transaction of its own."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import msgspec
import psycopg
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from bots.errors import StorageUnavailable

_REPEATS_AFTER_S = (0.05, 0.3, 1.0, 2.0)
#: How many calls went over a connection, among what the pool knows of it; and after how many its plans are made anew for the first time.
_COUNT, _FIRST_PLANS = "chinwag_calls", 32


def open_engine(url: str, *, pool: int, name: str, statement_timeout_s: float | None = None) -> Engine:
    """Make an engine with a bounded pool, on which each statement is a transaction. name is shown in pg_stat_activity."""
    options = "-c idle_in_transaction_session_timeout=5s -c lock_timeout=" + ("1s" if name.startswith("web") else "5s")
    if statement_timeout_s is not None:
        options += f" -c statement_timeout={int(statement_timeout_s * 1000)}"
    return create_engine(
        url,
        pool_size=pool,
        max_overflow=0,
        # Each statement is its own transaction; unit() opens longer ones. The opposite default would cost two switches for each statement.
        isolation_level="AUTOCOMMIT",
        # The one that was used last is next: it has its plans and caches, and those that are not needed get none. In turn, a dozen would have them all.
        pool_use_lifo=True,
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
    """One transaction, limited to one contact's rows if a contact is given. It commits when the block ends."""
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


def call(engine: Engine, statement: str, values: Sequence[Any], *, repeat: bool = True, delays: Sequence[float] = _REPEATS_AFTER_S) -> Any:
    """Run one SQL function in its own transaction and return its value.

    A lost connection does not show whether the transaction was committed: psycopg raises the same OperationalError when the connection
    breaks before and after the COMMIT reaches Postgres. So only what is safe to repeat is repeated.
    Raises StorageUnavailable.
    """
    return call_timed(engine, statement, values, repeat=repeat, delays=delays)[0]


def call_timed(
    engine: Engine,
    statement: str,
    values: Sequence[Any],
    *,
    repeat: bool = True,
    delays: Sequence[float] = _REPEATS_AFTER_S,
    within_s: float | None = None,
) -> tuple[Any, float]:
    """Like `call`, and also return the monotonic time before which the statement cannot have run; it excludes waiting for a connection.

    within_s: how long the statement may take; None: as long as any of this engine.
    """
    began: float | None = None
    for delay in (*(delays if repeat else ()), None):
        try:
            if within_s is None:
                with _borrowed(engine) as cursor:
                    # When there are several tries, the first may be the one that was committed.
                    began = time.monotonic() if began is None else began
                    row = cursor.execute(statement, tuple(values)).fetchone()
                    return None if row is None else row[0], began
            with engine.connect() as connection:
                began = time.monotonic() if began is None else began
                with connection.execution_options(isolation_level="READ COMMITTED").begin():
                    connection.exec_driver_sql(f"set local statement_timeout = {int(within_s * 1000)}")
                    return connection.exec_driver_sql(statement, tuple(values)).scalar(), began
        except (DBAPIError, PoolTimeout) as error:
            if not _passing(error) or delay is None:
                raise StorageUnavailable from error
            time.sleep(delay)
    raise AssertionError("unreachable")


@contextmanager
def _borrowed(engine: Engine) -> Generator[Any]:
    """A cursor of psycopg's on a connection of the pool: what SQLAlchemy does around a statement takes twice the time of the statement. Errors are those of
    SQLAlchemy, without the statement and its values.
    """
    connection: Any = None
    try:
        connection = engine.raw_connection()
        with connection.cursor() as cursor:
            if _is_to_plan(connection.info):
                cursor.execute("discard plans")
            yield cursor
        if not connection.dbapi_connection.autocommit:
            # Engines of open_engine do it by themselves.
            connection.commit()
    except psycopg.Error as error:
        is_lost = connection is None or engine.dialect.is_disconnect(error, connection.dbapi_connection, None)  # pyright: ignore[reportArgumentType] - as above
        if connection is not None and is_lost:
            # Those beside it that were made before are lost, too, as SQLAlchemy's own connections have it.
            engine.pool._invalidate(connection, error)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - no public name does that
        raise DBAPIError.instance(None, None, error, psycopg.Error, connection_invalidated=is_lost, dialect=engine.dialect) from error
    finally:
        if connection is not None:
            connection.close()


def _is_to_plan(info: dict[Any, Any]) -> bool:
    """Whether a connection's plans are to be made anew: at each doubling of the number of calls over it.

    Plans that were made while tables were nearly empty cost twice as much once these are full (docs/decisions/0042), and Postgres makes new ones only when it
    has counted the rows again, up to a minute later.
    """
    count = info[_COUNT] = info.get(_COUNT, 0) + 1
    return count >= _FIRST_PLANS and count & (count - 1) == 0


def _passing(error: DBAPIError | PoolTimeout) -> bool:
    if isinstance(error, PoolTimeout | OperationalError) or error.connection_invalidated:
        return True
    raise error


def to_json(value: Any) -> str:
    """Encode a value for a jsonb parameter."""
    return msgspec.json.encode(value).decode()
