"""G20, attacked through recall: whatever somebody asks, and whichever conversation or vector a recall names, it finds their own turns alone."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date
from typing import Any
from uuid import UUID

import pytest

from bots.recall import indexing, question
from bots.storage import episodes
from tests.support.ada_and_bob import AdaAndBob
from tests.support.cluster import Cluster, Database
from tests.support.two_people import Talked, an_account

_TODAY = date(2026, 11, 30)
_ASKS = "Where is the key of the boathouse?"
#: As many numbers as a vector of the embedder that ships.
_DIMENSIONS = 384
_MODEL = "an embedder"


@pytest.fixture(scope="module")
def two(cluster: Cluster) -> Iterator[AdaAndBob]:
    """One pair for all of these tests: none changes it."""
    name = cluster.database()
    database = Database(cluster, name)
    yield AdaAndBob(database, an_account(database), decide=lambda words: {"episode": indexing.episode(words, "Noted.", language="en")})
    cluster.drop(name)


def _recall(two: AdaAndBob, whose: Talked, asked: str = _ASKS, **more: Any) -> list[UUID]:
    read = question.read(asked, language="en", today=_TODAY)
    assert read is not None
    (bot,) = two.rows("select bot_id from accounts")
    given = {"bot": bot[0], "vector": None, "model": None, "conversation": whose.conversation, "history_from": 99, "limit": 20} | more
    return [one.turn for one in episodes.recall(two.database.hot("worker"), contact=whose.contact, question=read, **given)]


def test_a_recall_finds_ones_own_turns_and_no_others(two: AdaAndBob) -> None:
    assert _recall(two, two.bob) == [two.bob.turn]
    assert two.bob.turn not in _recall(two, two.ada)


def test_a_recall_that_names_anothers_conversation_finds_nothing_of_it(two: AdaAndBob) -> None:
    for history_from in (0, 1, 99):
        for neighbours in (0, 3):
            found = _recall(two, two.ada, conversation=two.bob.conversation, history_from=history_from, neighbours=neighbours)

            assert two.bob.turn not in found


def test_a_recall_by_meaning_finds_nothing_of_another_contact(two: AdaAndBob) -> None:
    """Not even with the very vector of what the other said."""
    vector = _vector(random.Random(1))
    _embed(two, two.bob, two.bob, vector)
    _embed(two, two.ada, two.ada, _vector(random.Random(2)))

    assert _recall(two, two.bob, "Anything about boats?", vector=vector, model=_MODEL) == [two.bob.turn]
    assert two.bob.turn not in _recall(two, two.ada, "Anything about boats?", vector=vector, model=_MODEL)


def test_a_vector_is_written_to_ones_own_turns_alone(two: AdaAndBob, seed: random.Random) -> None:
    before = two.bobs()
    _embed(two, two.ada, two.bob, _vector(seed))

    assert two.bobs() == before


def _embed(two: AdaAndBob, whose: Talked, turn: Talked, vector: list[float]) -> None:
    ((seen,),) = two.rows("select seen(t) from turns t where id = :turn", turn=turn.turn)
    found = episodes.Unembedded(contact=whose.contact, turns=[episodes.ToEmbed(turn=turn.turn, asked="", answer="", seen=str(seen))])
    episodes.embed_again(two.database.hot("worker"), found, model=_MODEL, vectors=[vector])


def _vector(chance: random.Random) -> list[float]:
    return [chance.uniform(-1, 1) for _ in range(_DIMENSIONS)]
