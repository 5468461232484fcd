"""What operators do with one contact's memories where there are many, and whom they mean by a name."""

from __future__ import annotations

from threading import Thread
from uuid import UUID

import pytest

from bots.admin import memories
from bots.errors import NotFound
from tests.support.changes import ADA, BOB
from tests.support.processes import until
from tests.support.remembering import fact, living, said
from tests.support.storage_fixture import StorageFixture

_MANY = 1500


def _contact(storage: StorageFixture) -> UUID:
    return storage.value("select id from contacts")


def _many(storage: StorageFixture) -> UUID:
    """Somebody of whom very much is remembered; the id of the oldest memory, "thing 1"."""
    said(storage, "hello")
    storage.do(
        "insert into memories (tenant_id, contact_id, kind, text, created_by, created_at, said_at)"
        " select tenant_id, id, 'likes', 'thing ' || n, 'rules-3', t, t"
        " from contacts, generate_series(1, %s) n, lateral (select now() - interval '1 day' + n * interval '1 second' as t) as times",
        _MANY,
    )
    return storage.value("select id from memories where text = 'thing 1'")


def test_a_person_is_not_meant_by_a_word_that_they_wrote(storage: StorageFixture) -> None:
    said(storage, "tell Wilhelmina that I am late", by=ADA)

    with pytest.raises(NotFound, match="Nobody"):
        memories.find_person(storage.deps, storage.operator(), "Wilhelmina")


def test_a_person_is_found_by_name_and_number_whatever_others_wrote(storage: StorageFixture) -> None:
    said(storage, "hello", by=ADA)
    said(storage, "tell Wilhelmina that I am late, her number is 34600111222", by=BOB)
    storage.do(
        "update contacts set name = 'Wilhelmina Oude' where id = (select contact_id from contact_identities where value = %s)", ADA.value
    )
    ada = storage.value("select contact_id from contact_identities where value = %s", ADA.value)

    for typed in ("wilhelmina", "Oude Wilhelmina", "+34 600 111 222", "0034600111222", str(ada)):
        assert memories.find_person(storage.deps, storage.operator(), typed) == ada


def test_a_whole_name_means_its_bearer_even_where_it_begins_anothers(storage: StorageFixture) -> None:
    said(storage, "hello", by=ADA)
    said(storage, "hello", by=BOB)
    for number, name in ((ADA.value, "Ána"), (BOB.value, "Anabel")):
        storage.do("update contacts set name = %s where id = (select contact_id from contact_identities where value = %s)", name, number)
    ada = storage.value("select contact_id from contact_identities where value = %s", ADA.value)

    assert memories.find_person(storage.deps, storage.operator(), "ana") == ada
    with pytest.raises(NotFound, match="Several"):
        memories.find_person(storage.deps, storage.operator(), "an")


@pytest.mark.parametrize("typed", ["", "  ", "%", "_", "\x00", "'; drop table contacts", "\ud800", "9" * 400, "x" * 5000])
def test_odd_input_means_nobody(storage: StorageFixture, typed: str) -> None:
    said(storage, "hello")

    with pytest.raises(NotFound):
        memories.find_person(storage.deps, storage.operator(), typed)


def test_the_oldest_of_many_memories_can_be_ended(storage: StorageFixture) -> None:
    oldest = _many(storage)
    memories.end(storage.deps, storage.operator(), _contact(storage), oldest)
    assert ("likes", "thing 1") not in living(storage)


def test_the_oldest_of_many_memories_can_be_corrected(storage: StorageFixture) -> None:
    oldest = _many(storage)
    memories.correct(storage.deps, storage.operator(), _contact(storage), oldest, value="another thing")
    assert ("likes", "another thing") in living(storage)


def test_the_oldest_of_many_memories_can_be_erased_and_it_alone(storage: StorageFixture) -> None:
    oldest = _many(storage)
    memories.erase(storage.deps, storage.operator(), _contact(storage), oldest)
    assert len(living(storage)) == _MANY - 1


def test_all_of_many_memories_are_read_when_they_are_asked_for_and_counted_else(storage: StorageFixture) -> None:
    _many(storage)
    some, every = (memories.read(storage.deps, storage.operator(), _contact(storage), limit=limit) for limit in (1000, memories.MOST_ASKED))

    assert (len(some.memories), some.total) == (1000, _MANY)
    assert len(every.memories) == _MANY


def test_what_is_erased_while_a_turn_ends_waits_for_it_and_never_the_turn_for_what_is_erased(storage: StorageFixture) -> None:
    said(storage, "I like tea", facts=[fact("likes", "tea")])
    tea, contact = storage.value("select id from memories"), _contact(storage)
    erasing = Thread(target=lambda: memories.erase(storage.deps, storage.operator(), contact, tea))
    with storage.crossing.execution_options(isolation_level="READ COMMITTED").connect() as turn, turn.begin():
        turn.exec_driver_sql("select from conversations for update")
        erasing.start()
        until(
            lambda: storage.value("select count(*) from pg_locks where not granted") > 0,
            what="the erasing waits",
        )
        turn.exec_driver_sql("set local lock_timeout = '1s'")
        turn.exec_driver_sql("update memories set valid_to = now()")
    erasing.join(timeout=20)

    assert living(storage) == set()
    assert storage.value("select count(*) from memories") == 0


def test_no_memory_of_another_contact_is_erased(storage: StorageFixture) -> None:
    said(storage, "I like tea", by=ADA, facts=[fact("likes", "tea")])
    tea = storage.value("select id from memories")
    said(storage, "hello", by=BOB)
    bob = storage.value("select contact_id from contact_identities where value = %s", BOB.value)

    with pytest.raises(NotFound):
        memories.erase(storage.deps, storage.operator(), bob, tea)
    assert living(storage) == {("likes", "tea")}
