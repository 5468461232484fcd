"""The whole way on embedded parts: a signed webhook, the tiny model, the platform's log, and its statuses coming back."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest

from chinwag.local import models
from chinwag.local.progress import Report
from chinwag.local.settings import LocalSettings
from tests.support import build
from tests.support.cluster import Cluster
from tests.support.processes import until
from tests.support.stack import WINDOWS, Stack

_PERSONA = "You are a friendly assistant. You answer in one short sentence."


@pytest.fixture(scope="module")
def service(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Everything real but the platform. The invariants hold at the end."""
    model = models.find(LocalSettings.from_env(dict(os.environ) | {"MODEL": "tiny", "MODEL_URL": "", "MODEL_NAME": ""}), Report(sys.stderr))
    # The same words each time; one busy core may be slow at them.
    settings = WINDOWS | {"CHINWAG_MODEL_TEMPERATURE": "0", "CHINWAG_ANSWER_TOKENS": "48"}
    with Stack(cluster, tmp_path_factory.mktemp("whole-way"), settings=settings, persona=_PERSONA) as running:
        arguments = ["inference.engines.llamacpp", "--model", str(model.path), "--alias", model.name, "--port", "0", "--ctx", "2048"]
        engine = running.processes.start("engine", arguments, {})
        running.env |= {"CHINWAG_MODEL_URL": engine.wait_listening(40) + "/v1", "CHINWAG_MODEL_NAME": model.name}
        running.start_web()
        running.start_dispatcher()
        running.start_worker()
        yield running
        running.wait_settled()
        running.check()


def _answer(stack: Stack, person: build.Person, words: str) -> str:
    """Say something, and return the text with which the real model's answer reached the platform."""
    before = len(stack.platform.texts_to(person.number))
    stack.say(person, words)
    until(lambda: len(stack.platform.texts_to(person.number)) > before, timeout_s=40, what="an answer in the platform's log")
    return stack.platform.texts_to(person.number)[-1]


def test_a_signed_webhook_is_answered_by_a_real_model_and_its_statuses_climb_to_read(service: Stack) -> None:
    person = build.a_person()
    answer = _answer(service, person, "What is the capital of France?")
    (turn,) = service.rows(
        "select t.* from turns t join contact_identities x using (contact_id) where x.value like :n", n=f"%{person.number}"
    )
    (call,) = service.rows("select * from model_calls where turn_id = :turn", turn=turn["id"])
    (part,) = service.rows("select * from outbox where turn_id = :turn", turn=turn["id"])
    until(lambda: service.one("select status from outbox where id = :part", part=part["id"]) == "read", what="the status read")
    (sent,) = [entry for entry in service.platform.log() if entry.get("correlation") == str(part["id"])]
    statuses = service.rows("select status from statuses where external_id = :id", id=sent["external_id"])

    assert (turn["state"], turn["reason"]) == ("answered", None)
    assert (call["outcome"], call["attempt"]) == ("ok", 1)
    assert call["tokens_in"] > 10
    assert call["tokens_out"] > 1
    assert answer == part["body"]
    assert answer != service.one("select fallback_text from bots")
    assert {row["status"] for row in statuses} == {"sent", "delivered", "read"}


def test_the_real_models_second_turn_is_read_from_its_prefix_cache(service: Stack) -> None:
    person = build.a_person()
    _answer(service, person, "Which kinds of apples keep over the winter?")
    _answer(service, person, "Tell me about apple trees.")
    calls = service.rows(
        "select tokens_in, tokens_cached, prompt from model_calls where contact_id ="
        " (select contact_id from contact_identities where value like :number) order by created_at",
        number=f"%{person.number}",
    )
    first, second = calls[0], calls[-1]

    assert len(calls) == 2
    assert second["prompt"][: len(first["prompt"])] == first["prompt"]
    # All of the first prompt but the opening of its answer, which the template writes anew.
    assert second["tokens_cached"] >= first["tokens_in"] - 8
