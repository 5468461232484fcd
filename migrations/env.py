"""Runs the migrations as the owner, with timeouts that hold inside them."""

from __future__ import annotations

import os

from alembic import context
from sqlalchemy import Connection, create_engine, pool, text

from bots.settings import Settings


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
        context.run_migrations()


run()
