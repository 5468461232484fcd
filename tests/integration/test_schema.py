"""The schema: equal to the models, reversible, and every table of a contact guarded."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic import command as alembic
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext

from bots.settings import Settings
from bots.storage.tables import metadata
from bots.storage.turns import ModelCall
from chinwag.cli.migrate import migrate
from tests.support.cluster import Cluster, Database
from tests.support.desk import a_message, open_desk

_ROOT = Path(__file__).parents[2]
_CALL = ModelCall(attempt=1, endpoint="house", model="m", prompt=[], outcome="ok", tokens_in=1, cost=0.5)


def _differences(database: Database) -> list[object]:
    def ours(kind: str, name: str | None) -> bool:
        # Partitions are made by the migration; the models know their parent.
        return not (kind == "table" and name is not None and (name.startswith("inbox_keys_") or name == "alembic_version"))

    with database.engine().connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"compare_type": True, "include_name": lambda name, kind, _parents: ours(kind, name)},
        )
        return list(compare_metadata(context, metadata))


def test_the_models_describe_what_the_migrations_make(database: Database) -> None:
    assert _differences(database) == []


def test_the_migrations_go_down_to_nothing_and_up_again(database: Database) -> None:
    settings = Settings.from_env(database.env)
    migrate(settings, to="base")
    with database.engine().connect() as connection:
        left = connection.exec_driver_sql(
            "select relname from pg_class c join pg_namespace n on n.oid = relnamespace"
            " where nspname = 'public' and relkind in ('r', 'p') and relname <> 'alembic_version'"
        ).scalars()

        assert list(left) == []
    migrate(settings)

    assert _differences(database) == []


def _down(database: Database, to: str) -> None:
    config = Config(str(_ROOT / "alembic.ini"))
    config.set_main_option("script_location", str(_ROOT / "migrations"))
    with database.engine().connect() as connection:
        config.attributes["connection"] = connection
        alembic.downgrade(config, to)
        connection.commit()


def _functions(database: Database) -> set[tuple[str, str]]:
    with database.engine().connect() as connection:
        rows = connection.exec_driver_sql(
            "select p.oid::regprocedure::text, md5(prosrc) from pg_proc p join pg_namespace n on n.oid = pronamespace where n.nspname = 'public'"
        )
        return {(row[0], row[1]) for row in rows}


@pytest.mark.parametrize("to", ["0004", "0003"])
def test_going_down_and_up_again_loses_no_waiting_message(cluster: Cluster, database: Database, to: str) -> None:
    desk, functions = open_desk(cluster, database.name), _functions(database)
    desk.let_in(a_message("hi"))
    desk.finish(desk.claimed(), state="wait", parts=[], answer=None, retry_s=0, calls=[_CALL])
    desk.do("update conversations set queue = 'reply.default.@gpu-1'")
    _down(database, to)

    # Who consumes it before engines had queues of their own?
    assert desk.rows("select queue from conversations") == [("reply.default",)]
    migrate(Settings.from_env(database.env))
    assert _functions(database) == functions
    assert [message.text for message in desk.claimed().messages] == ["hi"]
    for engine in (desk.web, desk.worker, desk.crossing):
        engine.dispose()


def test_migrating_twice_changes_nothing(database: Database) -> None:
    migrate(Settings.from_env(database.env))

    assert _differences(database) == []


def test_every_table_with_a_contact_forces_row_level_security_with_a_policy_for_each_login_role(database: Database) -> None:
    with database.engine().connect() as connection:
        rows = connection.exec_driver_sql("""
            select c.relname, c.relrowsecurity, c.relforcerowsecurity,
                array(select distinct r.rolname::text from pg_policy p, unnest(p.polroles) x join pg_roles r on r.oid = x
                    where p.polrelid = c.oid order by 1) as roles
            from pg_class c join pg_namespace n on n.oid = c.relnamespace
            join pg_attribute a on a.attrelid = c.oid and a.attname = 'contact_id' and not a.attisdropped
            where n.nspname = 'public' and c.relkind in ('r', 'p')
        """).all()
    guarded = ["chinwag_crossing", "chinwag_web", "chinwag_worker"]

    assert len(rows) >= 10
    assert [row.relname for row in rows if not (row.relrowsecurity and row.relforcerowsecurity and row.roles == guarded)] == []


def test_every_table_but_the_few_without_an_owner_has_the_tenant_in_its_key_or_a_column(database: Database) -> None:
    without = {"alembic_version", "worker_heartbeats", "watchers", "admin_links", "usage_until"}
    with database.engine().connect() as connection:
        found = connection.exec_driver_sql("""
            select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
            where n.nspname = 'public' and c.relkind in ('r', 'p') and not exists (
                select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped)
        """).scalars()

        assert set(found) <= without


def test_no_login_role_can_bypass_row_level_security_or_own_a_table(database: Database) -> None:
    with database.engine().connect() as connection:
        roles = connection.exec_driver_sql("""
            select rolname, rolsuper or rolbypassrls or rolcreaterole or rolcreatedb
                or exists (select from pg_class where relowner = r.oid) as strong
            from pg_roles r where rolname like 'chinwag\\_%%' and rolname <> 'chinwag_owner'
        """).all()

    assert {row.rolname: row.strong for row in roles} == dict.fromkeys(("chinwag_web", "chinwag_worker", "chinwag_crossing"), False)
