"""The embedder beside a worker: what is asked of it, and that nothing waits for it when it is away, slow, or gives something else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bots.recall import question
from bots.settings import Settings
from bots.storage.database import unit
from tests.support.cluster import Cluster
from tests.support.model_servers import Scripted, scripted
from tests.support.one_worker import BATCHES, OneWorker, one_worker
from tests.support.recalling import a_contact, recall, say
from workers.embed_turns import embed_one
from workers.embedding import Embedding
from workers.turn.recalling import fitting

_NOWHERE = "http://127.0.0.1:9/v1"
_SAID = "I am moving to Gothenburg with my brother"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripted]:
    with scripted(tmp_path_factory.mktemp("embed"), "--flavour", "vllm", "--dimensions", "64") as model:
        yield model


@pytest.fixture
def server(running: Scripted) -> Scripted:
    running.reset()
    running.clear_log()
    return running


def _settings(url: str, **more: str) -> dict[str, str]:
    return {"CHINWAG_EMBED_URL": url, "CHINWAG_EMBED_MODEL": "m", "CHINWAG_EMBED_PREFIXES": "none"} | more


def _embedding(url: str, **more: str) -> Embedding:
    return Embedding(Settings.from_env(_settings(url, CHINWAG_EMBED_DEADLINE_S="0.3") | more))


def _due(worker: OneWorker) -> None:
    worker.storage.do("update conversations set settle_at = now() where settle_at is not null")


def test_an_answered_turn_is_embedded_later_and_found_by_its_words_before_that(cluster: Cluster, server: Scripted) -> None:
    with one_worker(cluster, **_settings(f"{server.url}/v1")) as worker:
        worker.profile("first")
        worker.say(_SAID)
        answered = worker.turn()
        asked = question.read("Where is my brother moving?", language="en", today=datetime.now(UTC).date())
        contact = worker.storage.value("select id from contacts")
        assert asked is not None
        by_words = recall(worker.storage, contact, asked)
        assert not embed_one(worker.deps, BATCHES), "not at once: more may follow"
        _due(worker)
        assert embed_one(worker.deps, BATCHES)
        vector = worker.deps.embedding.question(asked.text, may_leave=False)
        by_meaning = recall(worker.storage, contact, asked, vector=vector, model="m")

        assert answered["state"] == "answered"
        assert [(one.asked, one.meaning) for one in by_words] == [(answered["asked"], None)]
        assert by_meaning[0].meaning is not None
        assert worker.storage.rows("select model, vector_dims(vector::vector) from fresh_episodes join embedders on id = embedder") == [
            ("m", 64)
        ]
        assert not embed_one(worker.deps, BATCHES), "once"


@pytest.mark.parametrize(
    ("fault", "more"),
    [
        ({"mode": "error500"}, {}),
        ({"latency_s": 2.0}, {}),
        ({"vectors": "nan"}, {}),
        ({"vectors": "missing"}, {}),
        ({}, {"CHINWAG_EMBED_DIMENSIONS": "384"}),
    ],
)
def test_a_question_goes_without_a_vector_in_time_and_turns_wait_whatever_the_embedder_does(
    cluster: Cluster, server: Scripted, fault: dict[str, Any], more: dict[str, str]
) -> None:
    server.script(**fault)
    embedding = _embedding(f"{server.url}/v1", **more)
    began = time.monotonic()

    assert embedding.question("where is my brother?", may_leave=True) is None
    assert time.monotonic() - began < 1.0
    if fault.get("latency_s"):
        return
    with one_worker(cluster, **_settings(f"{server.url}/v1", **more)) as worker:
        _, conversation = a_contact(worker.storage)
        say(worker.storage, conversation, _SAID, number=1, at=datetime.now(UTC) - timedelta(days=1))
        _due(worker)
        assert embed_one(worker.deps, BATCHES)
        assert worker.storage.rows("select embedder from fresh_episodes") == [(None,)]
        assert worker.storage.value("select settle_at > now() + interval '10 seconds' from conversations"), "tried again, but not at once"
        server.reset()
        worker.deps.embedding = _embedding(f"{server.url}/v1")
        _due(worker)
        assert embed_one(worker.deps, BATCHES)
        assert worker.storage.rows("select model from fresh_episodes join embedders on id = embedder") == [("m",)]


def test_an_embedder_that_is_away_is_not_asked_again_for_a_while(server: Scripted) -> None:
    server.script(mode="error500")
    embedding = _embedding(f"{server.url}/v1")
    for _ in range(9):
        assert embedding.question("where?", may_leave=True) is None

    assert len(server.log()) == 3


def test_without_an_embedder_turns_move_together_all_the_same(cluster: Cluster) -> None:
    with one_worker(cluster) as worker:
        _, conversation = a_contact(worker.storage)
        for n in range(1, 10):
            say(worker.storage, conversation, f"{_SAID} {n}", number=n, at=datetime.now(UTC) - timedelta(days=1, minutes=-n))
        _due(worker)
        assert embed_one(worker.deps, BATCHES)

        assert worker.deps.embedding.question("where?", may_leave=True) is None
        assert worker.storage.rows("select count(*), count(vector) from episodes") == [(9, 0)]
        assert not embed_one(worker.deps, BATCHES)


def test_what_may_not_leave_the_house_is_not_sent_to_an_embedder_outside(cluster: Cluster, server: Scripted) -> None:
    with one_worker(cluster, **_settings(f"{server.url}/v1", CHINWAG_EMBED_LEAVES_HOUSE="true")) as worker:
        _, conversation = a_contact(worker.storage)
        say(worker.storage, conversation, _SAID, number=1, at=datetime.now(UTC))
        _due(worker)
        assert embed_one(worker.deps, BATCHES)
        assert worker.deps.embedding.question(_SAID, may_leave=False) is None
        assert server.log() == []
        with unit(worker.storage.web) as connection:
            connection.exec_driver_sql("update bots set data_may_leave = true")
        worker.storage.do("update conversations set settle_at = now()")
        assert embed_one(worker.deps, BATCHES)

        assert len(server.log()) == 1
        assert worker.deps.embedding.question(_SAID, may_leave=True) is not None


def test_nothing_that_does_not_fit_is_recalled(cluster: Cluster) -> None:
    with one_worker(cluster) as worker:
        contact, conversation = a_contact(worker.storage)
        for n in range(1, 12):
            say(
                worker.storage,
                conversation,
                f"{_SAID} {n}" if n == 4 else f"The weather in town {n} is fine",
                number=n,
                at=datetime.now(UTC) - timedelta(days=n),
            )
        near, far = (
            question.read(text, language="en", today=datetime.now(UTC).date()) for text in ("My brother?", "Which cheese melts best?")
        )
        assert near is not None
        assert far is not None

        assert [one.asked for one in fitting(recall(worker.storage, contact, near))] == [f"{_SAID} 4"]
        assert fitting(recall(worker.storage, contact, far)) == []


def test_what_was_said_before_a_reset_is_recalled_in_the_very_same_turn(cluster: Cluster) -> None:
    with one_worker(cluster) as worker:
        worker.profile("first")
        worker.ask(_SAID)
        worker.say("/reset", "Where is my brother moving to?")
        worker.turn()

        assert worker.storage.rows("select number from recalled_turns join turns on turns.id = recalled_id") == [(1,)]


def test_a_turn_that_the_prompt_no_longer_repeats_is_recalled_into_it_and_recorded_and_small_talk_recalls_nothing(cluster: Cluster) -> None:
    with one_worker(cluster) as worker:
        worker.profile("first")
        worker.say(_SAID)
        worker.turn()
        worker.storage.do("update conversations set history_from = 2")
        worker.say("Hello, good morning!")
        worker.turn()
        nothing = worker.storage.rows("select recalled_id from recalled_turns")
        worker.say("Where is my brother moving to?")
        answered = worker.turn()

        assert nothing == []
        assert worker.storage.rows("select number, 'words' = any(signals) from recalled_turns join turns on turns.id = recalled_id") == [
            (1, True)
        ]
        prompt = str(worker.storage.value("select prompt from model_calls order by created_at desc limit 1"))
        assert "Gothenburg" in prompt
        assert "Gothenburg" not in str(answered["asked"]), "what was recalled is no part of what was said"
