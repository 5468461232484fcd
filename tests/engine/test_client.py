"""The product's own client on real vLLM: a prompt that leaves no room for an answer, the words of a refusal, tokens several at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from inference.client import ModelClient
from inference.errors import ModelRefused, PromptTooLong
from inference.probe import probe
from inference.types import Answer, Image, Message
from tests.engine.forked import ForkServer
from tests.engine.png import png
from tests.engine.serving import CONTEXT, PATIENT, VLLM

_WANTED = 512


@pytest.fixture(scope="module")
def engine(checkpoints: Path, forks: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VLLM]:
    with VLLM(checkpoints / "llama4-vision", folder=tmp_path_factory.mktemp("engine"), forks=forks) as serving:
        yield serving


@pytest.fixture(scope="module")
def template(engine: VLLM) -> int:
    """How many tokens the template puts around a message."""
    return engine.chat("a", tokens=1)["usage"]["prompt_tokens"] - 1


@pytest.fixture
def client(engine: VLLM) -> ModelClient:
    return engine.client(vision=True)


def _ask(client: ModelClient, words: str, *pictures: Image, wanted: int = _WANTED) -> Answer:
    return client.chat([Message(role="user", content=words, images=pictures)], max_tokens=wanted, temperature=0)


@pytest.mark.parametrize(("left", "written"), [(600, 512), (512, 512), (511, 511), (10, 10), (1, 1)])
def test_vllm_gives_a_long_prompt_what_is_left_of_the_context_and_says_length(engine: VLLM, template: int, left: int, written: int) -> None:
    # Each byte is a token here.
    answer = engine.chat("a" * (CONTEXT - left - template), tokens=_WANTED)

    assert (answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"]) == (CONTEXT - left, written)
    assert answer["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize(
    ("left", "wanted", "said"),
    [
        # Where nothing is left it does not speak of the prompt.
        (0, _WANTED, "max_tokens must be at least 1, got 0. (parameter=max_tokens, value=0)"),
        # It stops counting at one token too many: the number is no size.
        (-1, _WANTED, f"However, your prompt contains at least {CONTEXT + 1} input tokens"),
        (-700, _WANTED, f"However, your prompt contains at least {CONTEXT + 1} input tokens"),
        # However short the prompt.
        (1500, CONTEXT + 1, f"max_tokens={CONTEXT + 1} cannot be greater than max_model_len={CONTEXT}"),
    ],
    ids=["exactly full", "one too many", "many too many", "more wanted than the context"],
)
def test_vllm_refuses_only_what_leaves_no_token(engine: VLLM, template: int, left: int, wanted: int, said: str) -> None:
    body = {"model": "tiny", "messages": [{"role": "user", "content": "a" * (CONTEXT - left - template)}], "max_tokens": wanted}
    response = engine.http.post("/v1/chat/completions", json=body)

    assert response.status_code == 400
    assert said in response.json()["error"]["message"]


def test_a_whole_answer_that_just_fits_is_an_answer(client: ModelClient, template: int) -> None:
    answer = _ask(client, "a" * (CONTEXT - _WANTED - template))

    assert (answer.finish_reason, answer.usage.tokens_in, answer.usage.tokens_out) == ("length", CONTEXT - _WANTED, _WANTED)


@pytest.mark.parametrize("left", [10, 1])
def test_a_stump_is_a_prompt_too_long_and_its_tokens_are_counted(client: ModelClient, template: int, left: int) -> None:
    with pytest.raises(PromptTooLong) as raised:
        _ask(client, "a" * (CONTEXT - left - template))

    assert raised.value.usage is not None
    assert (raised.value.usage.tokens_in, raised.value.usage.tokens_out) == (CONTEXT - left, left)
    assert len(raised.value.text.split()) == left


@pytest.mark.parametrize("left", [0, -1, -700])
def test_a_prompt_that_leaves_nothing_is_too_long(client: ModelClient, template: int, left: int) -> None:
    with pytest.raises(PromptTooLong):
        _ask(client, "a" * (CONTEXT - left - template))


def test_a_picture_that_leaves_nothing_is_too_long(client: ModelClient, template: int) -> None:
    # Its tokens are counted only after the words were found to fit, and then vLLM says it in other words.
    picture = Image(media_type="image/png", data=png(width=224, height=224, red=255))

    with pytest.raises(PromptTooLong):
        _ask(client, "a" * (CONTEXT - 20 - template), picture)


def test_more_wanted_than_the_context_is_refused_with_vllms_own_words(client: ModelClient) -> None:
    # A shorter prompt would not help.
    with pytest.raises(ModelRefused) as raised:
        _ask(client, "a", wanted=CONTEXT + 1)

    assert not isinstance(raised.value, PromptTooLong)
    assert f"max_tokens={CONTEXT + 1} cannot be greater than max_model_len={CONTEXT}" in raised.value.said


def test_tokens_come_several_at_once_where_vllm_takes_the_field_and_make_the_same_text(engine: VLLM) -> None:
    assert probe(engine.endpoint, PATIENT).traits.stream_interval
    client = engine.client(stream_interval=True)
    alone, *larger = (_ask(client, "Good morning", wanted=64) for _ in range(3))

    assert (alone.text, alone.usage.tokens_out) == (larger[0].text, 64)
    assert larger[1].text == larger[0].text
    assert _events(engine, 16) <= _events(engine, 1) // 4


def _events(engine: VLLM, interval: int) -> int:
    """In how many events vLLM streams an answer of 64 tokens."""
    body = {"model": "tiny", "messages": [{"role": "user", "content": "Good morning"}], "max_tokens": 64, "temperature": 0, "stream": True}
    with engine.http.stream("POST", "/v1/chat/completions", json=body | {"stream_interval": interval}) as response:
        return sum(line.startswith("data:") for line in response.iter_lines())
