"""What was in work when a contact's words were erased: none of it brings them back when it ends."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest

from bots.domain import DeliveryStatus
from bots.errors import Fenced
from bots.recall import indexing
from bots.storage import episodes, memories, remembering, summaries
from bots.storage.database import unit
from bots.storage.episodes import Unembedded
from tests.support.changes import a_call, an_edit, says
from tests.support.recalling import BATCH, MODEL
from tests.support.remembering import DOG, a_dog, memory, new_fact, said
from tests.support.storage_fixture import StorageFixture, a_status
from tests.support.traces import Traces

#: Ends what was begun before the erasure.
End = Callable[[], object]


def _talks(storage: StorageFixture) -> None:
    """Somebody tells of their dog, and everything that can be done about it in the background is due."""
    for n in range(2):
        said(
            storage,
            f"My dog is {DOG}",
            key=f"w{n}",
            facts=[a_dog()],
            answer=f"Hello {DOG}!",
            episode=indexing.episode(f"My dog is {DOG}", f"Hello {DOG}!", language="en"),
            summarise_to=1,
            read_after_s=0.0,
        )
    storage.do("update conversations set settle_at = now(), summarise_at = now(), remember_at = now()")


def _embedding(storage: StorageFixture) -> End:
    found = episodes.claim(storage.crossing, BATCH, model=MODEL, most=9, lease_s=60)
    assert found is not None
    return lambda: episodes.settle(storage.worker, found, model=MODEL, vectors=_vectors(found))


def _embedding_again(storage: StorageFixture) -> End:
    found = episodes.stale(storage.crossing, after=UUID(int=0), model=MODEL, most=9)
    assert found is not None
    return lambda: episodes.embed_again(storage.crossing, found, model=MODEL, vectors=_vectors(found))


def _vectors(found: Unembedded) -> list[tuple[float, ...]]:
    assert [DOG in one.asked for one in found.turns] == [True, True]
    return [(1.0, 0.0, 0.0) for _ in found.turns]


def _indexing(storage: StorageFixture) -> End:
    storage.do("delete from fresh_episodes")
    storage.do("update conversations set index_to = 9, settle_at = null")
    found = episodes.claim_unindexed(storage.crossing, most=9, lease_s=60)
    assert found is not None
    made = [indexing.episode(one.asked, one.answer, language="en") for one in found.turns]
    assert made
    return lambda: episodes.index(storage.worker, found, made)


def _notes(storage: StorageFixture) -> End:
    found = summaries.claim(storage.crossing, BATCH, lease_s=60)
    assert found is not None
    words = found.turns[0].asked
    return lambda: summaries.finish(storage.worker, found, f"They said: {words}.", until=1, calls=[a_call(words)])


def _reading(storage: StorageFixture) -> End:
    found = remembering.claim(storage.crossing, BATCH, most=9, lease_s=60)
    assert found is not None
    first = found.messages[0]
    facts, calls = [new_fact(a_dog(), first.id)], [a_call(first.text)]
    return lambda: remembering.finish(storage.worker, found, until=1, facts=facts, ends=[], by="model m", again_s=0, calls=calls)


def _turn(storage: StorageFixture) -> End:
    storage.let_in(says("and what does it eat?", "next"))
    claim = storage.claimed()
    words = claim.history[0].asked

    def ends() -> None:
        with pytest.raises(Fenced):
            storage.finish(claim, answer=words, parts=[words], calls=[a_call(words)], asked="and what does it eat?")

    return ends


def _sending(storage: StorageFixture) -> End:
    storage.let_in(says("what is my dog called?", "next"))
    sending = storage.answered(asked="what is my dog called?", answer=DOG, parts=[DOG], calls=[a_call(DOG)])
    return lambda: (storage.end(sending, external_id="wamid.OUT"), storage.let_in(a_status("wamid.OUT", DeliveryStatus.READ)))


def _edit(storage: StorageFixture) -> End:
    return lambda: storage.let_in(an_edit("w0", f"My dog is called {DOG}", facts=[a_dog()]), body=DOG.encode())


@pytest.mark.parametrize("wish", ["one memory", "everything"])
@pytest.mark.parametrize("work", [_embedding, _embedding_again, _indexing, _notes, _reading, _turn, _sending, _edit])
def test_what_was_in_work_brings_no_words_back(
    storage: StorageFixture, traces: Traces, work: Callable[[StorageFixture], End], wish: str
) -> None:
    _talks(storage)
    ends = work(storage)
    contact = storage.value("select id from contacts")
    gone = [memory(storage, f"dog {DOG}")] if wish == "one memory" else []
    with unit(storage.crossing) as connection:
        memories.erase(connection, contact=contact, memories=gone, everything=not gone)

    ends()

    assert traces(DOG) == set()
    assert storage.rows("select * from episodes") == storage.rows("select * from fresh_episodes") == []
    assert storage.value("select count(*) from memories") == 0
