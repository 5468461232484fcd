"""Bringing a large database up to date: it is said beforehand, refused while the service runs, and all or nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command as alembic
from alembic.config import Config
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from typer.testing import CliRunner

from bots.errors import BotsError
from bots.settings import Settings
from chinwag.cli import build
from chinwag.cli.migrate import is_at_head, migrate
from tests.support.cluster import Database
from tests.support.processes import until

_ROOT = Path(__file__).parents[2]


def _as_before(database: Database, *, messages: float) -> None:
    """Bring it down to revision 0010, and let Postgres believe that it has so many messages."""
    config = Config(str(_ROOT / "alembic.ini"))
    config.set_main_option("script_location", str(_ROOT / "migrations"))
    with database.engine().connect() as connection:
        config.attributes["connection"] = connection
        alembic.downgrade(config, "0010")
        connection.execute(text("update pg_class set reltuples = :messages where oid = to_regclass('inbox')"), {"messages": messages})
        connection.commit()


def _revision(database: Database) -> str:
    with database.engine().connect() as connection:
        return connection.exec_driver_sql("select version_num from alembic_version").scalar_one()


def test_a_large_database_is_not_migrated_in_operation_and_the_command_says_how_long_it_takes(database: Database) -> None:
    _as_before(database, messages=3_000_000)

    refused = CliRunner().invoke(build("migrate"), ["migrate"], env=database.env)
    assert (refused.exit_code, _revision(database)) == (2, "0010")
    assert "minutes for 3.0 million messages" in refused.stderr
    assert "migrate --at-rest" in refused.stderr
    done = CliRunner().invoke(build("migrate"), ["migrate", "--at-rest"], env=database.env)
    assert (done.exit_code, is_at_head(Settings.from_env(database.env))) == (0, True)
    assert "if it is interrupted, nothing has changed" in done.stderr
    again = CliRunner().invoke(build("migrate"), ["migrate"], env=database.env)
    assert (again.exit_code, again.stderr) == (0, "")


@pytest.mark.parametrize("messages", [-1, 0, 20_000])
def test_a_small_database_is_migrated_in_operation(database: Database, messages: float) -> None:
    _as_before(database, messages=messages)
    migrate(Settings.from_env(database.env))

    assert is_at_head(Settings.from_env(database.env))


def test_a_table_that_somebody_holds_is_waited_for_some_seconds_and_then_nothing_has_changed(database: Database) -> None:
    _as_before(database, messages=0)
    with database.engine().connect() as holder:
        holder.exec_driver_sql("lock table turns in access share mode")
        refused = CliRunner().invoke(build("migrate"), ["migrate"], env=database.env)

    assert (refused.exit_code, _revision(database)) == (2, "0010")
    assert "run `chinwag migrate --at-rest`" in refused.stderr


def test_a_claim_that_is_half_done_and_the_migration_do_not_wait_for_each_other(database: Database) -> None:
    _as_before(database, messages=0)
    waiting = "select count(*) from pg_locks where not granted and mode = 'AccessExclusiveLock' and database = (select oid from pg_database where datname = current_database())"
    with database.engine().connect() as claim, database.engine().connect() as looker, ThreadPoolExecutor(1) as pool:
        claim.exec_driver_sql("lock table turns in row exclusive mode")
        migrating = pool.submit(migrate, Settings.from_env(database.env))
        until(lambda: looker.exec_driver_sql(waiting).scalar(), what="the migration waits for the claim")
        # A claim reads the contact last; whoever were chosen as the victim of a deadlock would fail.
        claim.exec_driver_sql("lock table contacts in row share mode")
        claim.commit()
        migrating.result(timeout=60)

    assert is_at_head(Settings.from_env(database.env))


def test_what_is_interrupted_has_changed_nothing_and_goes_on_when_it_is_run_again(database: Database) -> None:
    _as_before(database, messages=3_000_000)
    settings = Settings.from_env(database.env)
    with database.engine().connect() as owner:
        # The last of its files fails, as if the disk were full.
        owner.exec_driver_sql(
            "create function keep_house(p_envelope_days integer, p_more integer default 1) returns void language sql as $$ select $$"
        )
        owner.exec_driver_sql("create table swept (n integer)")
        owner.commit()
        with pytest.raises((DBAPIError, BotsError)):
            migrate(settings, at_rest=True)
        assert _revision(database) == "0010"
        assert owner.exec_driver_sql("select to_regclass('figures')").scalar() is None
        owner.exec_driver_sql("drop table swept; drop function keep_house(integer, integer)")
        owner.commit()
    migrate(settings, at_rest=True)

    assert is_at_head(settings)
