"""G20, attacked through what is remembered: no turn learns from, ends, erases or counts as recalled what is another contact's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bots.storage.turns import Erasure, NewEnd, NewFact, Recalled, RecalledTurn
from tests.support.ada_and_bob import AdaAndBob
from tests.support.cluster import Cluster, Database
from tests.support.two_people import an_account


@pytest.fixture
def two(cluster: Cluster) -> Iterator[AdaAndBob]:
    """A pair of a test's own: an attack may change Ada."""
    name = cluster.database()
    database = Database(cluster, name)
    yield AdaAndBob(database, an_account(database))
    cluster.drop(name)


def test_a_turn_records_nothing_of_another_contact_as_recalled(two: AdaAndBob) -> None:
    before = two.bobs()
    mine, theirs = two.memory_of(two.ada), two.memory_of(two.bob)
    later = two.attack(
        recalls=[Recalled(memory=one, reason="made up") for one in (mine, theirs)],
        recalled=[RecalledTurn(turn=one, signals=["words"]) for one in (two.ada.turn, two.bob.turn)],
    )

    assert two.rows("select memory_id from recalls where turn_id = :t", t=later.turn) == [(mine,)]
    assert two.rows("select recalled_id from recalled_turns where turn_id = :t", t=later.turn) == [(two.ada.turn,)]
    assert two.bobs() == before


def test_nothing_is_remembered_from_another_contacts_message(two: AdaAndBob) -> None:
    two.attack(facts=[NewFact(kind="likes", text="boats", source=two.message_of(two.bob))])

    assert two.rows("select text from memories where contact_id = :a and text = 'boats'", a=two.ada.contact) == []


@pytest.mark.parametrize("value", [None, "Bob"])
def test_an_end_ends_ones_own_memories_alone(two: AdaAndBob, value: str | None) -> None:
    before = two.bobs()
    two.attack(ends=[NewEnd(kind="name", text=value, source=two.message_of(two.ada))])

    assert two.bobs() == before


def test_what_ends_a_memory_is_the_contacts_own_message(two: AdaAndBob) -> None:
    two.attack(ends=[NewEnd(kind="name", text=None, source=two.message_of(two.bob))])

    ended = "select id from memories where contact_id = :a and ended_by_inbox_id = :m"
    assert two.rows(ended, a=two.ada.contact, m=two.message_of(two.bob)) == []


@pytest.mark.parametrize("how", ["memory", "turn", "both", "everything"])
def test_erasing_reaches_nothing_of_another_contact(two: AdaAndBob, how: str) -> None:
    before = two.bobs()
    memories = [two.memory_of(two.bob)] if how in ("memory", "both") else []
    turns = [two.bob.turn] if how in ("turn", "both") else []
    two.attack(erase=Erasure(memories=memories, turns=turns, everything=how == "everything"))

    assert two.bobs() == before


def test_every_table_of_a_contacts_rows_hides_them_from_everybody_elses_scope(two: AdaAndBob) -> None:
    """Also one that a later change adds: its contact_id puts it under the policy, or this fails."""
    secured = """
        select c.relname::text from pg_class c join pg_policy p on p.polrelid = c.oid and p.polname = 'own_contact'
        where c.relrowsecurity and c.relforcerowsecurity
    """

    assert {"memories", "recalls", "recalled_turns", "turns"} <= set(two.tables())
    assert set(two.tables()) - {str(row[0]) for row in two.rows(secured)} == set()
