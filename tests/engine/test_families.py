"""The models with vision, Llama 4, Gemma 3 and Mistral 3, served by real vLLM: with no picture, one, and two."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.forked import ForkServer
from tests.engine.serving import VLLM

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


def _picture(*, red: int, side: int = 224) -> dict[str, Any]:
    """A square that fades from the red given to blue, as the content part of a message.

    Four tiles for Llama 4. A picture of one tile reaches vLLM 0.32's oneDNN kernel as a transposed view, which that refuses ("Expected
    a.stride(-1) == 1"), in float32 everywhere, and in bfloat16 on processors without AMX, where vLLM has no other kernel for it.
    """
    rows = b"".join(
        b"\x00" + b"".join(bytes((red, column * 255 // side, row * 255 // side)) for column in range(side)) for row in range(side)
    )

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{base64.b64encode(png).decode()}"}}


def _tokens_in(answer: dict[str, Any]) -> int:
    return answer["usage"]["prompt_tokens"]


def _said(answer: dict[str, Any]) -> list[float]:
    return [token["logprob"] for token in answer["choices"][0]["logprobs"]["content"]]


def test_a_question_in_words_is_answered_the_same_each_time(engine: VLLM) -> None:
    first, second = engine.chat("Good morning"), engine.chat("Good morning")

    assert first["usage"]["completion_tokens"] == 8
    assert first["choices"][0]["token_ids"] == second["choices"][0]["token_ids"]


def test_one_picture_takes_its_place_in_the_prompt_and_bears_on_the_answer(engine: VLLM) -> None:
    words, red, green = engine.chat([_WORDS]), engine.chat([_picture(red=255), _WORDS]), engine.chat([_picture(red=0), _WORDS])

    assert _tokens_in(red) == _tokens_in(green) > _tokens_in(words) + 8
    assert _said(red) != pytest.approx(_said(green), abs=0.001)


def test_two_pictures_are_told_apart_and_their_order_counts(engine: VLLM) -> None:
    one, other = _picture(red=255), _picture(red=0)
    words, single = engine.chat([_WORDS]), engine.chat([one, _WORDS])
    both, turned = engine.chat([one, other, _WORDS]), engine.chat([other, one, _WORDS])

    assert _tokens_in(both) == _tokens_in(turned) == _tokens_in(words) + 2 * (_tokens_in(single) - _tokens_in(words))
    assert _said(both) != pytest.approx(_said(turned), abs=0.001)


def test_a_third_picture_is_refused_with_a_reason(engine: VLLM) -> None:
    picture = _picture(red=128)
    body = {"model": "tiny", "messages": [{"role": "user", "content": [picture, picture, picture, _WORDS]}], "max_tokens": 4}
    response = engine.http.post("/v1/chat/completions", json=body)

    assert response.status_code == 400
    assert "At most 2 image" in response.text
