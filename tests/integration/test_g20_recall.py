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


@pytest.fixture(scope="module")
def two(cluster: Cluster) -> Iterator[AdaAndBob]:
    """One pair for all of these tests: none changes it."""
    name = cluster.database()
    database = Database(cluster, name)
    yield AdaAndBob(database, an_account(database), decide=lambda words: {"episode": indexing.episode(words, "Noted.", language="en")})
    cluster.drop(name)


def _recall(two: AdaAndBob, whose: Talked, asked: str, **more: Any) -> list[UUID]:
    read = question.read(asked, language="en", today=_TODAY)
    assert read is not None
    given = {"vector": None, "conversation": whose.conversation, "history_from": 99, "limit": 20} | more
    return [one.turn for one in episodes.recall(two.database.hot("worker"), contact=whose.contact, question=read, **given)]


def test_a_recall_finds_ones_own_turns_and_no_others(two: AdaAndBob) -> None:
    assert _recall(two, two.bob, _ASKS) == [two.bob.turn]
    assert two.bob.turn not in _recall(two, two.ada, _ASKS)


def test_a_recall_that_names_anothers_conversation_finds_nothing_of_it(two: AdaAndBob) -> None:
    for history_from in (0, 1, 99):
        assert two.bob.turn not in _recall(two, two.ada, _ASKS, conversation=two.bob.conversation, history_from=history_from)


def test_a_recall_by_meaning_finds_nothing_of_another_contact(two: AdaAndBob, seed: random.Random) -> None:
    for _ in range(5):
        vector = [seed.uniform(-1, 1) for _ in range(_DIMENSIONS)]
        assert two.bob.turn not in _recall(two, two.ada, _ASKS, vector=vector)
