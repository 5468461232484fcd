"""G20: within one contact's scope, nothing of another contact can be read, changed, moved or made."""

from __future__ import annotations

import random
from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from bots.domain import Outcome
from bots.errors import Fenced, StorageUnavailable
from bots.storage import chat, outbox, turns
from bots.storage.database import unit
from bots.storage.turns import TurnResult
from tests.support import build
from tests.support.cluster import Cluster, Database
from tests.support.two_people import Talked, a_talk, an_account

_TABLES = (
    "contact_identities",
    "conversations",
    "turns",
    "inbox",
    "memories",
    "model_calls",
    "outbox",
    "send_attempts",
)
_ROLES = ("web", "worker")


class Two:
    """Ada and Bob, and the database that they are in."""

    def __init__(self, database: Database) -> None:
        self.database = database
        account = an_account(database)
        self.ada: Talked = a_talk(database, account, build.a_person("Ada"))
        self.bob: Talked = a_talk(database, account, build.a_person("Bob"))

    def count(self, role: str, contact: UUID | None, statement: str, **values: object) -> int:
        """Rows that a statement reads or touches, within a contact's scope."""
        with unit(self.database.engine(role), contact=contact) as connection:
            done = connection.execute(text(statement), values)
            return len(done.all()) if done.returns_rows else done.rowcount

    def bobs(self) -> list[tuple[object, ...]]:
        """All that there is of Bob, as the owner sees it."""
        found: list[tuple[object, ...]] = []
        with self.database.engine().connect() as connection:
            for table in (*_TABLES, "recalls", "envelope_contacts"):
                rows = connection.execute(text(f"select x::text from {table} x where contact_id = :b order by 1"), {"b": self.bob.contact})
                found += [(table, *row) for row in rows]
        return found


@pytest.fixture(scope="module")
def two(cluster: Cluster) -> Iterator[Two]:
    """One pair for all of these tests: each asserts that it changed nothing."""
    name = cluster.database()
    yield Two(Database(cluster, name))
    cluster.drop(name)


@pytest.mark.parametrize("role", _ROLES)
def test_without_a_scope_there_is_nothing_and_with_it_only_ones_own(two: Two, role: str) -> None:
    for table in _TABLES:
        assert two.count(role, None, f"select 1 from {table}") == 0
        assert two.count(role, two.ada.contact, f"select 1 from {table} where contact_id <> :a", a=two.ada.contact) == 0
        assert two.count(role, two.ada.contact, f"select 1 from {table}") >= 1


@pytest.mark.parametrize("role", _ROLES)
def test_the_scope_ends_with_its_transaction(two: Two, role: str) -> None:
    with two.database.engine(role).connect() as connection:
        with connection.begin():
            connection.execute(text("select set_config('app.contact_id', :a, true)"), {"a": str(two.ada.contact)})
            inside = connection.execute(text("select count(*) from inbox")).scalar()
        with connection.begin():
            after = connection.execute(text("select count(*) from inbox")).scalar()

    assert (inside, after) == (1, 0)


@pytest.mark.parametrize("role", _ROLES)
@pytest.mark.parametrize("table", _TABLES)
def test_rows_of_another_contact_are_neither_changed_nor_moved_nor_removed(two: Two, role: str, table: str) -> None:
    before = two.bobs()
    for statement in (
        f"update {table} set contact_id = contact_id where contact_id = :b",
        f"update {table} set contact_id = :b where contact_id = :a",
        f"delete from {table} where contact_id = :b",
    ):
        try:
            touched = two.count(role, two.ada.contact, statement, a=two.ada.contact, b=two.bob.contact)
        except (DBAPIError, StorageUnavailable):
            touched = 0  # refused by a policy, or for want of the permission

        assert touched == 0
    assert two.bobs() == before


def test_no_row_can_be_made_for_another_contact(two: Two) -> None:
    before = two.bobs()
    values = {"c": two.bob.contact, "talk": two.bob.conversation, "id": uuid4()}
    with pytest.raises(DBAPIError, match="row-level security"):
        two.count(
            "worker",
            two.ada.contact,
            "insert into turns (tenant_id, id, conversation_id, contact_id, number) select tenant_id, :id, :talk, :c, 99 from tenants",
            **values,
        )

    assert two.bobs() == before


def test_finishing_a_turn_of_another_contact_is_fenced(two: Two) -> None:
    before = two.bobs()
    with pytest.raises(Fenced):
        turns.finish(
            two.database.hot("worker"),
            contact=two.ada.contact,
            turn=two.bob.turn,
            token=1,
            boot=uuid4(),
            stale_s=20,
            result=TurnResult(state="answered", answer="no", parts=["no"]),
        )

    assert two.bobs() == before


def test_recording_an_attempt_of_another_contact_changes_nothing(two: Two) -> None:
    before = two.bobs()
    said = outbox.end_attempt(
        two.database.hot("worker"),
        contact=two.ada.contact,
        attempt=two.bob.attempt,
        outcome=Outcome.UNKNOWN,
        reconcile_s=1,
        next_part_s=1,
    )

    assert said is None
    assert two.bobs() == before


def test_the_chat_page_reads_nothing_of_another_contact(two: Two) -> None:
    with unit(two.database.engine("web"), contact=two.ada.contact) as connection:
        assert chat.what_happened(connection, two.bob.turn) is None
        assert "Bob" not in repr(chat.lines(connection, two.bob.contact))
        assert "Ada" in repr(chat.lines(connection, two.ada.contact))


def test_made_up_statements_within_one_scope_never_show_the_other(two: Two, seed: random.Random) -> None:
    """Joins, subqueries, unions and casts at random: whatever comes back holds no id of Bob's."""
    secret = {str(two.bob.contact), str(two.bob.conversation), str(two.bob.turn), str(two.bob.message)}
    hides = ("true", "1 = 1 or contact_id is not null", "contact_id::text like '%%'", f"contact_id = '{two.bob.contact}'")
    for _ in range(120):
        one, other = seed.choice(_TABLES), seed.choice(_TABLES)
        statement = seed.choice(
            (
                f"select x::text from {one} x where {seed.choice(hides)}",
                f"select x::text || y::text from {one} x full join {other} y on true",
                f"select x::text from {one} x union all select y::text from {other} y",
                f"with q as (select x::text as t from {one} x) select t from q",
                f"select (select string_agg(y::text, '') from {other} y) from {one} x",
                f"select to_jsonb(x)::text from {one} x, lateral (select 1 from {other} y limit 1) z",
            )
        )
        with unit(two.database.engine(seed.choice(_ROLES)), contact=two.ada.contact) as connection:
            shown = " ".join(str(row[0]) for row in connection.exec_driver_sql(statement).all())

        assert not [found for found in secret if found in shown], statement
