"""Runs the migrations as the owner, with timeouts that hold inside them."""

from __future__ import annotations

import os

from alembic import context
from psycopg.errors import LockNotAvailable
from sqlalchemy import Connection, create_engine, pool, text
from sqlalchemy.exc import DBAPIError

from bots.settings import Settings

_TABLES = """
    select string_agg(quote_ident(c.relname), ', ' order by c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = current_schema() and c.relkind in ('r', 'p') and not c.relispartition and c.relname <> 'alembic_version'"""
#: So often the tables are asked for, for less than the second after which Postgres calls it a deadlock.
_TRIES = 20


def run() -> None:
    connection = context.config.attributes.get("connection")
    if connection is not None:
        _migrate(connection)
        return
    settings = Settings.from_env(os.environ)
    engine = create_engine(settings.owner_database_url, poolclass=pool.NullPool)
    with engine.connect() as connection:
        _migrate(connection)


def _migrate(connection: Connection) -> None:
    # A migration during operation gives up waiting for a lock after 4 s and a statement after 5 s, rather than block the service.
    # While the service is stopped nobody waits for it: then a large table may take its time.
    at_rest = context.config.attributes.get("at_rest", False)
    connection.execute(text("set lock_timeout = '4s'"))
    connection.execute(text(f"set statement_timeout = '{0 if at_rest else 5}s'"))
    connection.commit()
    context.configure(connection=connection, target_metadata=None)
    with context.begin_transaction():
        _hold(connection)
        connection.execute(text("set local lock_timeout = '4s'"))
        context.run_migrations()


def _hold(connection: Connection) -> None:
    """Take all tables at once, or none: table by table, processes of the version before and this one would wait for each other."""
    tables = connection.execute(text(_TABLES)).scalar()
    for left in reversed(range(_TRIES if tables else 0)):
        try:
            with connection.begin_nested():
                connection.execute(text("set local lock_timeout = '200ms'"))
                connection.execute(text(f"lock table {tables} in access exclusive mode"))
        except DBAPIError as error:
            if not left or not isinstance(error.orig, LockNotAvailable):
                raise
        else:
            return


run()
