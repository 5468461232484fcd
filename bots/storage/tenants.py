"""Tenants: whose data it is. There is one, `default`, until somebody needs two."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection, text


def default(connection: Connection) -> UUID:
    """Return the id of the tenant `default`, which `chinwag migrate` makes."""
    return connection.execute(text("select tenant_id from tenants where name = 'default'")).scalar_one()


def make_default(connection: Connection) -> None:
    """Make the tenant `default` unless it exists."""
    connection.execute(text("insert into tenants (name) values ('default') on conflict do nothing"))
