"""An embedder that is away, refuses one text or changes its vectors: other background work goes on, and so does every answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta

import pytest

from bots.recall import question
from inference.scripted.vectors import Fault
from tests.support.cluster import Cluster
from tests.support.model_servers import Scripted, scripted
from tests.support.one_worker import BATCHES, OneWorker, one_worker
from tests.support.recalling import a_contact, recall, say
from tests.support.storage_fixture import StorageFixture
from workers.embed_turns import embed_one

_SAID = "I am moving to Gothenburg with my brother"
_ASKED = "Where is my brother moving?"
#: Words that the embedder takes at most.
_CONTEXT = 60


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripted]:
    with scripted(tmp_path_factory.mktemp("embed"), "--flavour", "vllm", "--dimensions", "64", "--context", str(_CONTEXT)) as model:
        yield model


@pytest.fixture
def server(running: Scripted) -> Scripted:
    running.reset()
    running.clear_log()
    return running


def _worker(cluster: Cluster, server: Scripted) -> AbstractContextManager[OneWorker]:
    return one_worker(cluster, CHINWAG_EMBED_URL=f"{server.url}/v1", CHINWAG_EMBED_MODEL="m", CHINWAG_EMBED_PREFIXES="none")


def _said(worker: OneWorker, *texts: str) -> None:
    """Each by a person of their own, and due to be embedded."""
    for text in texts:
        _, conversation = a_contact(worker.storage)
        say(worker.storage, conversation, text, number=1, at=datetime.now(UTC) - timedelta(days=1))
    _due(worker)


def _due(worker: OneWorker) -> None:
    worker.storage.do("update conversations set settle_at = now()")


def _lengths(storage: StorageFixture) -> list[int | None]:
    return [row[0] for row in storage.rows("select vector_dims(vector::vector) from fresh_episodes order by said_at, turn_id")]


def test_while_the_embedder_is_away_other_work_is_not_kept_waiting(cluster: Cluster, server: Scripted) -> None:
    with _worker(cluster, server) as worker:
        server.script(mode="error500")
        _said(worker, *(f"{_SAID} {n}" for n in range(5)))

        done = 0
        while done < 10 and embed_one(worker.deps, BATCHES):
            done += 1

        assert done == 1, "one conversation finds out, the others are left alone"
        assert len(server.log()) == 1


def test_a_text_that_the_embedder_refuses_keeps_no_others_waiting(cluster: Cluster, server: Scripted) -> None:
    with _worker(cluster, server) as worker:
        contact, conversation = a_contact(worker.storage)
        for n, text in enumerate((_SAID, "word " * (_CONTEXT + 1), "My boat is blue"), start=1):
            say(worker.storage, conversation, text, number=n, at=datetime.now(UTC) - timedelta(days=9 - n))
        _due(worker)

        assert embed_one(worker.deps, BATCHES)

        assert _lengths(worker.storage) == [64, None, 64]
        _due(worker)
        server.clear_log()
        embed_one(worker.deps, BATCHES)
        assert server.log() == [], "nor is it sent again and again"
        asked = question.read(_ASKED, language="en", today=datetime.now(UTC).date())
        assert asked is not None
        vector = worker.deps.embedding.question(asked.text, may_leave=True)
        assert recall(worker.storage, contact, asked, vector=vector, model="m")[0].asked == _SAID


def test_an_embedder_that_refuses_everything_leaves_turns_to_be_embedded(cluster: Cluster, server: Scripted) -> None:
    with _worker(cluster, server) as worker:
        server.script(mode="error400")
        _said(worker, _SAID)
        assert embed_one(worker.deps, BATCHES)
        assert worker.storage.rows("select embedder from fresh_episodes") == [(None,)]


@pytest.mark.parametrize("first", ["none", "narrow"])
def test_vectors_of_two_lengths_under_one_name_break_no_recall(cluster: Cluster, server: Scripted, first: Fault) -> None:
    with _worker(cluster, server) as worker:
        contact, conversation = a_contact(worker.storage)
        for n, fault in enumerate((first, "narrow" if first == "none" else "none"), start=1):
            server.script(vectors=fault)
            say(worker.storage, conversation, f"{_SAID} {n}", number=n, at=datetime.now(UTC) - timedelta(days=9 - n))
            _due(worker)
            assert embed_one(worker.deps, BATCHES)
        server.reset()
        assert sorted(_lengths(worker.storage), key=str) == [63, 64]

        asked = question.read(_ASKED, language="en", today=datetime.now(UTC).date())
        assert asked is not None
        vector = worker.deps.embedding.question(asked.text, may_leave=True)
        found = recall(worker.storage, contact, asked, vector=vector, model="m")

        assert {one.asked for one in found} == {f"{_SAID} 1", f"{_SAID} 2"}
        assert sorted(one.meaning is None for one in found) == [False, True]
