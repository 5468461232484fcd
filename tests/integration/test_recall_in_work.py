"""Turns whose words change while their vectors are made: no vector of words that are gone is kept."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from bots.storage import episodes
from bots.storage.database import unit
from tests.support.processes import until
from tests.support.recalling import BATCH, MODEL, a_contact, say, settle
from tests.support.storage_fixture import QUEUE, StorageFixture

_DAY = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)


def _talks(storage: StorageFixture) -> tuple[UUID, UUID, UUID]:
    """A contact with a turn in each of two conversations; the contact, the first conversation, and the turn in the second."""
    contact, first = a_contact(storage)
    second = uuid4()
    storage.do(
        "insert into conversations (tenant_id, id, account_id, contact_id, queue) select tenant_id, %s, %s, id, %s from contacts where id = %s",
        second,
        storage.another_account("two"),
        QUEUE,
        contact,
    )
    turn = say(storage, second, "My dog is Quibbleton", number=1, at=_DAY)
    say(storage, first, "I like oat cakes", number=1, at=_DAY + timedelta(days=1))
    storage.do("update conversations set settle_at = case when id = %s then now() - interval '1 minute' end", first)
    return contact, first, turn


def _changes(storage: StorageFixture, turn: UUID) -> None:
    """Somebody takes back a part of what was said in it."""
    storage.do("update turns set asked = 'I like rain' where id = %s", turn)
    storage.do("select reword_episode(%s)", turn)


def _vectors(storage: StorageFixture) -> dict[str, bool]:
    rows = storage.rows("select asked, vector is not null from fresh_episodes e join turns t on t.id = e.turn_id")
    return {row[0]: row[1] for row in rows}


@pytest.mark.parametrize("fresh", [True, False])
def test_words_that_change_while_their_row_moves_are_the_new_ones(storage: StorageFixture, *, fresh: bool) -> None:
    contact, conversation = a_contact(storage)
    # The eighth row makes fresh ones move; the 32nd makes rows that moved one run.
    turns = [say(storage, conversation, f"Sentence {n}", number=n, at=_DAY + timedelta(minutes=n)) for n in range(8 if fresh else 24)]
    if not fresh:
        settle(storage)
        for n in range(24, 32):
            say(storage, conversation, f"Sentence {n}", number=n, at=_DAY + timedelta(minutes=n))
    with ThreadPoolExecutor(1) as pool:
        with unit(storage.crossing) as moving:
            moving.exec_driver_sql("select lay_episodes(%s, null, '{}', '{}', '{}')", (contact,))
            changed = pool.submit(_changes, storage, turns[0])
            until(lambda: storage.value("select count(*) from pg_locks where not granted") > 0)
        changed.result()

    now = storage.value("select words from fresh_episodes where turn_id = %s", turns[0])
    assert now == storage.value("select word_numbers('english', 'I like rain', 0)")
    assert storage.value("select count(*) from episodes where turn_id = %s", turns[0]) == 0


@pytest.mark.parametrize("by", ["the background", "chinwag model reembed"])
def test_words_that_change_while_they_are_embedded_are_embedded_again(storage: StorageFixture, by: str) -> None:
    contact, _, turn = _talks(storage)
    if by == "the background":
        claimed = episodes.claim(storage.crossing, BATCH, model=MODEL, most=16, lease_s=60)
    else:
        claimed = episodes.stale(storage.crossing, after=UUID(int=0), model=MODEL, most=16)
    assert claimed is not None
    assert claimed.contact == contact
    assert len(claimed.turns) == 2
    _changes(storage, turn)

    vectors = [(1.0, 0.0, 0.0) for _ in claimed.turns]
    if by == "the background":
        assert episodes.settle(storage.worker, claimed, model=MODEL, vectors=vectors)
    else:
        episodes.embed_again(storage.crossing, claimed, model=MODEL, vectors=vectors)

    assert _vectors(storage) == {"I like oat cakes": True, "I like rain": False}
    storage.do("update conversations set settle_at = now() where settle_at is not null")
    again = episodes.claim(storage.crossing, BATCH, model=MODEL, most=16, lease_s=60)
    assert again is not None
    assert [one.asked for one in again.turns] == ["I like rain"]
