"""The models with vision, Llama 4, Gemma 3 and Mistral 3, served by real vLLM: with no picture, one, and two."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from inference.types import Image, Message
from tests.engine.forked import ForkServer
from tests.engine.png import png
from tests.engine.serving import VLLM

#: Width and height. For Llama 4 one tile, four and one of the whole, two side by side, two above each other; each tile is shown alone where there is one.
_SIZES = [(112, 112), (40, 90), (224, 224), (640, 200), (200, 640)]
#: Sides of squares: one tile, and four.
_SIDES = pytest.mark.parametrize("side", [112, 224])
_WORDS = {"type": "text", "text": "What is in the picture?"}


@pytest.fixture(scope="module", params=["llama4-vision", "gemma3", "mistral3"])
def engine(
    request: pytest.FixtureRequest, checkpoints: Path, forks: ForkServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[VLLM]:
    """One family's engine, which takes up to two pictures a message."""
    # In bfloat16, as they are published.
    given = ("--limit-mm-per-prompt", '{"image": 2}', "--dtype", "bfloat16")
    with VLLM(checkpoints / request.param, *given, folder=tmp_path_factory.mktemp("engine"), forks=forks) as serving:
        yield serving


def _picture(*, red: int, side: int) -> dict[str, Any]:
    """A square picture as the content part of a message."""
    data = base64.b64encode(png(width=side, height=side, red=red)).decode()
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}


def _tokens_in(answer: dict[str, Any]) -> int:
    return answer["usage"]["prompt_tokens"]


def _said(answer: dict[str, Any]) -> list[float]:
    return [token["logprob"] for token in answer["choices"][0]["logprobs"]["content"]]


def test_a_question_in_words_is_answered_the_same_each_time(engine: VLLM) -> None:
    first, second = engine.chat("Good morning"), engine.chat("Good morning")

    assert first["usage"]["completion_tokens"] == 8
    assert first["choices"][0]["token_ids"] == second["choices"][0]["token_ids"]


@_SIDES
def test_one_picture_takes_its_place_in_the_prompt_and_bears_on_the_answer(engine: VLLM, side: int) -> None:
    one, other = _picture(red=255, side=side), _picture(red=0, side=side)
    words, red, green = engine.chat([_WORDS]), engine.chat([one, _WORDS]), engine.chat([other, _WORDS])

    assert _tokens_in(red) == _tokens_in(green) > _tokens_in(words) + 8
    assert _said(red) != pytest.approx(_said(green), abs=0.001)


@_SIDES
def test_two_pictures_are_told_apart_and_their_order_counts(engine: VLLM, side: int) -> None:
    one, other = _picture(red=255, side=side), _picture(red=0, side=side)
    words, single = engine.chat([_WORDS]), engine.chat([one, _WORDS])
    both, turned = engine.chat([one, other, _WORDS]), engine.chat([other, one, _WORDS])

    assert _tokens_in(both) == _tokens_in(turned) == _tokens_in(words) + 2 * (_tokens_in(single) - _tokens_in(words))
    assert _said(both) != pytest.approx(_said(turned), abs=0.001)


def test_a_third_picture_is_refused_with_a_reason(engine: VLLM) -> None:
    picture = _picture(red=128, side=224)
    body = {"model": "tiny", "messages": [{"role": "user", "content": [picture, picture, picture, _WORDS]}], "max_tokens": 4}
    response = engine.http.post("/v1/chat/completions", json=body)

    assert response.status_code == 400
    assert "At most 2 image" in response.text


@pytest.mark.parametrize(("width", "height"), _SIZES)
def test_our_client_is_answered_about_a_picture_of_any_size_and_in_words_afterwards(engine: VLLM, width: int, height: int) -> None:
    client = engine.client(vision=True)

    def ask(*red: int) -> int:
        images = tuple(Image(media_type="image/png", data=png(width=width, height=height, red=each)) for each in red)
        answer = client.chat([Message(role="user", content="What is in it?", images=images)], max_tokens=16, temperature=0)
        assert answer.usage.tokens_out == 16
        return answer.usage.tokens_in

    words, one, other, both, again = ask(), ask(255), ask(0), ask(255, 0), ask()

    assert words + 8 < one == other
    assert both - words == 2 * (one - words)
    assert again == words
