"""How many pages statements read, wherever these were, as Postgres counts them."""

from __future__ import annotations

from sqlalchemy import Connection, Engine


def pages(connection: Connection, statement: str, *values: object) -> int:
    """Execute a statement, and return the pages that it read."""
    found = connection.exec_driver_sql(f"explain (analyze, buffers, format json) {statement}", values or None).scalar_one()
    plan = found[0]["Plan"]
    return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]


def pages_once_planned(engine: Engine, statement: str) -> int:
    """Return the pages that a statement reads when its connection has executed it before; what it changes is undone."""
    with engine.connect() as connection:
        connection.exec_driver_sql(statement).all()
        found = pages(connection, statement)
        connection.rollback()
    return found
