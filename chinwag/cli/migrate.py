"""`chinwag migrate`: the login roles, the schema and the first tenant."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import typer
from psycopg.errors import LockNotAvailable, QueryCanceled
from sqlalchemy import Connection, create_engine, make_url, pool, text
from sqlalchemy.exc import DBAPIError

from bots.errors import BotsError
from bots.settings import Settings
from bots.storage import tenants
from chinwag.local.ground import environment

_ROOT = Path(__file__).parent.parent.parent
_REVISIONS = _ROOT / "migrations" / "versions"
_OLDEST_POSTGRES = 160000
#: Revisions that write large tables anew or build indexes on them. With more messages than these nobody could write for minutes.
_HEAVY = ("0008", "0010", "0011")
_MANY = 100_000
#: For a million messages, on two busy cores.
_MINUTES = 1.5


def command(
    to: str = typer.Option("head", help="Revision to migrate to; `base` removes everything."),
    *,
    at_rest: bool = typer.Option(default=False, help="The service is stopped, so a statement may take as long as it needs."),
) -> None:
    """Create or update the database: login roles, tables, functions. Safe to run again."""
    try:
        settings = Settings.from_env(environment(os.environ))
        migrate(settings, to=to, at_rest=at_rest)
    except (BotsError, DBAPIError) as error:
        reason = error.orig if isinstance(error, DBAPIError) else error
        sys.stderr.write(f"Cannot migrate: {str(reason).strip().splitlines()[0]}\n")
        if isinstance(reason, QueryCanceled | LockNotAvailable) and not at_rest:
            sys.stderr.write(
                "It took too long while the service runs, so nothing was changed: stop the service, and run `chinwag migrate --at-rest`.\n"
            )
        raise typer.Exit(2) from error


def is_at_head(settings: Settings) -> bool:
    """Whether the database is at the newest revision. Raises DBAPIError."""
    engine = create_engine(settings.owner_database_url, poolclass=pool.NullPool)
    with engine.connect() as connection:
        return _is_at_head(connection)


def migrate(settings: Settings, *, to: str = "head", at_rest: bool = False) -> None:
    """Bring the database to a revision, as the owner; with at_rest a statement's time has no limit. Raises DBAPIError and BadSetting."""
    engine = create_engine(settings.owner_database_url, poolclass=pool.NullPool)
    with engine.connect() as connection:
        if connection.exec_driver_sql("show server_version_num").scalar_one() < str(_OLDEST_POSTGRES):
            raise BotsError("Postgres is too old: 16 or newer is needed.")
        # Two migrations at the same time wait for each other.
        connection.exec_driver_sql("select pg_advisory_lock(814012)")
        _make_roles(connection, settings)
        _make_extension(connection)
        connection.commit()
        if to != "head" or not _is_at_head(connection):
            if to == "head":
                _weigh(connection, at_rest=at_rest)
            _go(connection, to, at_rest=at_rest)
        if to != "base":
            tenants.make_default(connection)
        connection.commit()
        connection.exec_driver_sql("select pg_advisory_unlock(814012)")


def _weigh(connection: Connection, *, at_rest: bool) -> None:
    """Say how long it takes, before anything is changed. Raises BotsError where the service would have to wait for it too long."""
    if not _has_tables(connection):
        return
    messages: float = (
        connection.exec_driver_sql("select greatest(reltuples, 0) from pg_class where oid = to_regclass('inbox')").scalar() or 0.0
    )
    present: str = connection.exec_driver_sql("select max(version_num) from alembic_version").scalar() or ""
    if messages < _MANY or not any(present < one for one in _HEAVY):
        return
    minutes = max(1, round(messages / 1e6 * _MINUTES))
    about = f"about {minutes} minute{'s' if minutes > 1 else ''} for {messages / 1e6:.1f} million messages"
    if not at_rest:
        raise BotsError(
            f"this update needs {about}, and nothing could be received or sent meanwhile. Nothing was changed. Stop web, hooks, worker and"
            " dispatcher, run `chinwag migrate --at-rest`, and start them again (docs/operations.md, Upgrades)."
        )
    sys.stderr.write(f"Migrating: {about}. It is one transaction: if it is interrupted, nothing has changed, and it can be run again.\n")


def _go(connection: Connection, to: str, *, at_rest: bool) -> None:
    from alembic import command as alembic  # noqa: PLC0415 - half a second, which most starts do without
    from alembic.config import Config  # noqa: PLC0415 - as above

    config = Config(str(_ROOT / "alembic.ini"))
    config.set_main_option("script_location", str(_ROOT / "migrations"))
    config.attributes["connection"] = connection
    config.attributes["at_rest"] = at_rest
    if to == "base":
        alembic.downgrade(config, to)
    else:
        alembic.upgrade(config, to)


def _is_at_head(connection: Connection) -> bool:
    """Whether the database's revision is the newest: files of revisions are named after their numbers, which only grow."""
    if not _has_tables(connection):
        return False
    newest = max(path.name.partition("_")[0] for path in _REVISIONS.glob("[0-9]*_*.py"))
    return connection.exec_driver_sql("select array_agg(version_num::text) from alembic_version").scalar() == [newest]


def _has_tables(connection: Connection) -> bool:
    known = "select true from pg_tables where schemaname = current_schema() and tablename = 'alembic_version'"
    return bool(connection.exec_driver_sql(known).scalar())


def _make_extension(connection: Connection) -> None:
    """Create pgvector, which only an administrator may. Raises BotsError with what to do where this role may not, or where it is not installed."""
    if connection.exec_driver_sql("select true from pg_extension where extname = 'vector'").scalar():
        return
    if not connection.exec_driver_sql("select true from pg_available_extensions where name = 'vector'").scalar():
        raise BotsError(
            "Postgres has no pgvector: install it on the database server (image pgvector/pgvector, or package postgresql-NN-pgvector)."
        )
    try:
        with connection.begin_nested():
            connection.exec_driver_sql("create extension vector")
    except DBAPIError as error:
        raise BotsError(
            "This role may not create extensions: let an administrator run `create extension vector` in this database."
        ) from error


def _make_roles(connection: Connection, settings: Settings) -> None:
    timeouts = {"chinwag_web": "2s", "chinwag_worker": "10s", "chinwag_crossing": "10s"}
    addresses = (settings.web_database_url, settings.worker_database_url, settings.crossing_database_url)
    for (role, timeout), address in zip(timeouts.items(), addresses, strict=True):
        there = connection.execute(text("select true from pg_roles where rolname = :role"), {"role": role}).scalar()
        if not there:
            connection.exec_driver_sql(f"create role {role} login nosuperuser nobypassrls nocreatedb nocreaterole noinherit")
        connection.exec_driver_sql(f"alter role {role} set statement_timeout = '{timeout}'")
        # Functions keep the plans of their first call, when the tables were empty and a scan was cheapest: at 3,000 turns
        # that cost 5 ms of Postgres a turn, until the first analyze. Every statement of these roles can use an index.
        connection.exec_driver_sql(f"alter role {role} set enable_seqscan = off")
        connection.exec_driver_sql(f"alter role {role} set enable_bitmapscan = off")
        # With an index for everything the values do not matter to the plan: it need not be made again five times for each connection.
        connection.exec_driver_sql(f"alter role {role} set plan_cache_mode = force_generic_plan")
        url = make_url(address) if address else None
        if url is not None and url.username == role and url.password:
            quoted = connection.exec_driver_sql("select quote_literal(%s)", (str(url.password),)).scalar_one()
            connection.exec_driver_sql(f"alter role {role} password {quoted}".replace("%", "%%"))
