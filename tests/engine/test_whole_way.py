"""From end to end with a tiny Llama 4: a signed webhook, Celery, real vLLM, and the answer at the fake platform."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.forked import ForkServer
from tests.engine.serving import VLLM
from tests.support import build
from tests.support.cluster import Cluster
from tests.support.processes import until
from tests.support.stack import WINDOWS, Stack

_TOKENS = 12


@pytest.fixture(scope="module")
def engine(checkpoints: Path, forks: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VLLM]:
    """Llama 4 on one rank. Each byte is a token here, so the prompt needs room."""
    with VLLM(checkpoints / "llama4", "--max-model-len", "4096", folder=tmp_path_factory.mktemp("engine"), forks=forks) as serving:
        yield serving


@pytest.fixture(scope="module")
def service(engine: VLLM, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The service with that engine as its model. The invariants hold at the end."""
    settings = WINDOWS | {"CHINWAG_MODEL_TEMPERATURE": "0", "CHINWAG_ANSWER_TOKENS": str(_TOKENS)}
    with Stack(cluster, tmp_path_factory.mktemp("service"), settings=settings) as running:
        running.env |= {"CHINWAG_MODEL_URL": f"http://127.0.0.1:{engine.port}/v1", "CHINWAG_MODEL_NAME": "tiny"}
        running.start_web()
        running.start_dispatcher()
        running.start_worker()
        yield running
        running.wait_settled()
        running.check()


def test_a_signed_webhook_is_answered_by_real_vllm_with_a_tiny_llama_4(service: Stack, engine: VLLM) -> None:
    person = build.a_person()
    answered = engine.metric("vllm:request_success_total")
    wamid = service.say(person, "What is the capital of France?")
    until(lambda: service.platform.texts_to(person.number), timeout_s=60, what="an answer in the platform's log")
    turn = service.turn_of(wamid)
    (call,) = service.rows("select * from model_calls where turn_id = :turn", turn=turn)
    (part,) = service.rows("select * from outbox where turn_id = :turn", turn=turn)

    assert (call["outcome"], call["model"], call["tokens_out"]) == ("ok", "tiny", _TOKENS)
    assert service.platform.texts_to(person.number) == [part["body"]]
    # The checkpoint's own made-up words, one for each token; the limit cut it, so the last one, which may be half a word, is left out.
    assert len(part["body"].split()) == _TOKENS - 1
    assert part["body"].endswith("…")
    assert service.one("select reason from turns where id = :turn", turn=turn) == "cut"
    assert part["body"] != service.one("select fallback_text from bots")
    assert engine.metric("vllm:request_success_total") == answered + 1


def test_what_a_person_wrote_before_is_in_the_prompt_that_vllm_gets(service: Stack, engine: VLLM) -> None:
    person = build.a_person()
    service.say(person, "The lamp in the hall is broken.")
    until(lambda: len(service.platform.texts_to(person.number)) == 1, timeout_s=60, what="the first answer")
    seen = engine.metric("vllm:prompt_tokens_total")
    service.say(person, "Which one?")
    until(lambda: len(service.platform.texts_to(person.number)) == 2, timeout_s=60, what="the second answer")
    first, second = service.rows(
        "select tokens_in from model_calls where contact_id ="
        " (select contact_id from contact_identities where value like :number) order by created_at",
        number=f"%{person.number}",
    )

    assert second["tokens_in"] > first["tokens_in"]
    assert engine.metric("vllm:prompt_tokens_total") - seen == second["tokens_in"]
