"""The schema: what is read in bots/storage/sql is what the migrations make, from every revision; and every table of a contact is guarded."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from alembic import command as alembic
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from bots.settings import Settings
from bots.storage.turns import ModelCall
from chinwag.cli.migrate import is_at_head, migrate
from migrations import catalog, head
from tests.support.cluster import Cluster, Database
from tests.support.storage_fixture import a_message, open_storage

_ROOT = Path(__file__).parents[2]
_REVISIONS = [revision.revision for revision in reversed(list(ScriptDirectory(str(_ROOT / "migrations")).walk_revisions()))]
_CALL = ModelCall(attempt=1, endpoint="house", model="m", prompt=[], outcome="ok", tokens_in=1, cost=0.5)
#: One change of each kind of thing, and the line that must name it.
_CHANGES = {
    "alter table accounts alter column name drop not null": "column accounts.name",
    "alter table accounts alter column state set default 'paused'": "column accounts.state",
    "alter table turns alter column tries type bigint": "column turns.tries",
    "alter table personas drop column created_by; alter table personas add column created_by text, add column more text": "column personas.more",
    "alter table turns drop constraint ck_turns_state": "constraint turns.ck_turns_state",
    "drop index ix_turns_dead; create index ix_turns_dead on turns (finished_at)": "index ix_turns_dead",
    "alter policy own_contact on turns to chinwag_worker": "policy turns.own_contact",
    "alter policy crossing on inbox using (false)": "policy inbox.crossing",
    "alter table media no force row level security": "table media",
    "alter table outbox reset (fillfactor)": "table outbox",
    "revoke select on turns from chinwag_web": "grant turns to chinwag_web",
    "grant update (name) on accounts to chinwag_crossing": "grant accounts.name to chinwag_crossing",
    "revoke execute on function give_back(uuid) from public": "grant give_back(uuid) to public",
    "alter function give_back(uuid) security definer": "function give_back(uuid)",
    "alter function give_back(uuid) set work_mem = '1MB'": "function give_back(uuid)",
    "alter function waits(conversations) volatile": "function waits(conversations)",
    "create or replace function is_head(o outbox) returns boolean language sql stable as $$ select true $$": "function is_head(outbox)",
    "drop function tell_page(uuid, uuid)": "function tell_page(uuid,uuid)",
    "create function more() returns trigger language plpgsql as $$ begin return new; end $$": "function more()",
    "create trigger more before update on inbox for each row execute function suppress_redundant_updates_trigger()": "trigger inbox.more",
    "create type mood as enum ('fine')": "type mood",
    "alter table inbox alter column arrival set increment by 2": "sequence inbox_arrival_seq",
    "create view everyone as select name from contacts": "table everyone",
}
_numbers = itertools.count(1)


@contextmanager
def _empty(cluster: Cluster) -> Iterator[Database]:
    name = f"empty_{next(_numbers)}"
    with cluster.engine("postgres").connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(f"create database {name} template template0")
    yield Database(cluster, name)
    cluster.drop(name)


@pytest.fixture
def empty(cluster: Cluster) -> Iterator[Database]:
    """A database with nothing in it; its login roles exist."""
    with _empty(cluster) as made:
        yield made


@pytest.fixture(scope="module")
def at_head(cluster: Cluster) -> catalog.Schema:
    """What the files of bots/storage/sql make."""
    with _empty(cluster) as made, made.engine().connect() as connection:
        head.build(connection)
        assert _kinds_of_usage(connection) == ["batch", "talk"]
        return catalog.read(connection)


def _kinds_of_usage(connection: Connection) -> list[str]:
    """The only rows that the schema brings along."""
    return list(connection.exec_driver_sql("select kind from usage_until order by 1").scalars())


def _schema(database: Database) -> catalog.Schema:
    with database.engine().connect() as connection:
        return catalog.read(connection)


def _to(database: Database, revision: str, *, down: bool = False) -> None:
    config = Config(str(_ROOT / "alembic.ini"))
    config.set_main_option("script_location", str(_ROOT / "migrations"))
    with database.engine().connect() as connection:
        # `chinwag migrate` makes it before any revision, since an administrator may have to; it stays when the revisions go down.
        connection.exec_driver_sql("create extension if not exists vector")
        connection.commit()
        config.attributes["connection"] = connection
        (alembic.downgrade if down else alembic.upgrade)(config, revision)
        connection.commit()


def test_what_is_compared_holds_every_kind_that_the_schema_has(at_head: catalog.Schema) -> None:
    kinds = {name.split(" ", 1)[0] for name in at_head}

    assert kinds == {"column", "constraint", "extension", "function", "grant", "index", "policy", "sequence", "table", "trigger"}
    assert len(at_head) > 800


def test_every_change_of_the_schema_is_seen(at_head: catalog.Schema, database: Database) -> None:
    with database.engine().connect() as connection:
        for change, seen in _CHANGES.items():
            connection.exec_driver_sql(change)
            found = catalog.differences(at_head, catalog.read(connection))
            connection.rollback()

            assert any(line.startswith((f"+ {seen}", f"- {seen}")) for line in found), change

        assert catalog.differences(at_head, catalog.read(connection)) == []


def test_comments_and_blank_space_in_a_function_are_no_difference() -> None:
    assert catalog.plain("a --b\n   c /* d\n */ ' -- e  ' -- f") == "a c ' -- e  '"
    assert catalog.plain(r"E'\' -- a' b") == r"E'\' -- a' b"


def test_migrating_from_nothing_makes_what_stands_in_the_files_at_head(at_head: catalog.Schema, empty: Database) -> None:
    migrate(Settings.from_env(empty.env))

    assert catalog.differences(at_head, _schema(empty)) == []
    with empty.engine().connect() as connection:
        assert _kinds_of_usage(connection) == ["batch", "talk"]


@pytest.mark.parametrize("revision", _REVISIONS[:-1])
def test_migrating_from_an_earlier_revision_makes_the_same(at_head: catalog.Schema, empty: Database, revision: str) -> None:
    _to(empty, revision)
    before = _schema(empty)
    migrate(Settings.from_env(empty.env))

    assert catalog.differences(at_head, _schema(empty)) == []
    _to(empty, revision, down=True)
    assert catalog.differences(before, _schema(empty)) == []
    migrate(Settings.from_env(empty.env))
    assert catalog.differences(at_head, _schema(empty)) == []


def test_the_migrations_go_down_to_nothing_and_up_again(at_head: catalog.Schema, database: Database) -> None:
    settings = Settings.from_env(database.env)
    migrate(settings, to="base")

    left = {name for name in _schema(database) if not re.match(r"(extension|grant schema) ", name)}
    assert left == set()
    migrate(settings)

    assert catalog.differences(at_head, _schema(database)) == []


@pytest.mark.parametrize("revision", [_REVISIONS[0], *_REVISIONS[-2:]])
def test_a_database_is_at_head_only_at_the_newest_revision(empty: Database, revision: str) -> None:
    settings = Settings.from_env(empty.env)
    from_nothing = is_at_head(settings)
    _to(empty, revision)

    assert (from_nothing, is_at_head(settings)) == (False, revision == _REVISIONS[-1])


@pytest.mark.parametrize("to", ["0004", "0003"])
def test_going_down_and_up_again_loses_no_waiting_message(cluster: Cluster, at_head: catalog.Schema, database: Database, to: str) -> None:
    storage = open_storage(cluster, database.name)
    storage.let_in(a_message("hi"))
    storage.finish(storage.claimed(), state="wait", parts=[], answer=None, retry_s=0, calls=[_CALL])
    storage.do("update conversations set queue = 'reply.default.@gpu-1'")
    _to(database, to, down=True)

    # Who consumes it before engines had queues of their own?
    assert storage.rows("select queue from conversations") == [("reply.default",)]
    migrate(Settings.from_env(database.env))
    assert catalog.differences(at_head, _schema(database)) == []
    assert [message.text for message in storage.claimed().messages] == ["hi"]
    for engine in (storage.web, storage.worker, storage.crossing):
        engine.dispose()


def test_migrating_twice_changes_nothing(at_head: catalog.Schema, database: Database) -> None:
    migrate(Settings.from_env(database.env))

    assert catalog.differences(at_head, _schema(database)) == []


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
    without = {"alembic_version", "worker_heartbeats", "watchers", "admin_links", "usage_until", "figures_until", "embedders"}
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
