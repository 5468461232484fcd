"""The engines of our own as real processes: broken model files, and the embedding server's bounds."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from math import sqrt
from pathlib import Path

import httpx
import pytest

from inference.engines.gguf import cache_bytes
from inference.engines.llamacpp import CONTEXT, SLOTS, context_for
from tests.support.model_servers import tiny_model
from tests.support.processes import Processes


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    running = Processes(tmp_path_factory.mktemp("engines"))
    yield running
    running.end_all()


@pytest.fixture(scope="module")
def embedder(processes: Processes) -> str:
    return processes.start("embed", ["inference.embed_server", "--port", "0"], {}).wait_listening()


def _vectors(url: str, **body: object) -> list[list[float]]:
    response = httpx.post(f"{url}/v1/embeddings", json=body, timeout=30)
    assert response.status_code == 200, response.text
    return [row["embedding"] for row in response.json()["data"]]


def _cosine(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True)) / sqrt(sum(a * a for a in one) * sum(b * b for b in other))


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"GGUF\x03\x00\x00\x00 and then nothing", None], ids=["empty", "text", "cut", "missing"]
)
def test_a_broken_model_file_ends_the_engine_with_one_line(processes: Processes, tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "model.gguf"
    if content is not None:
        file.write_bytes(content)
    engine = processes.start("engine", ["inference.engines.llamacpp", "--model", str(file), "--alias", "broken"], {})

    assert engine.popen.wait(30) == 2
    (line,) = engine.printed().splitlines()
    assert line.startswith(f"{file}: ")


def test_a_question_lies_nearest_to_the_passage_that_answers_it(embedder: str) -> None:
    passages = _vectors(embedder, input=["Marta lives in Porto.", "The train has four wheels."], input_type="passage")
    (question,) = _vectors(embedder, input="In which city does she live?", input_type="query")

    assert len(question) == 384
    assert _cosine(question, passages[0]) > _cosine(question, passages[1])


def test_texts_that_the_model_cannot_take_are_mended(embedder: str) -> None:
    body = b'{"input": ["before\\u0000after", "half \\ud83d", "", "' + "längst ".encode() * 3000 + b'"]}'

    response = httpx.post(f"{embedder}/v1/embeddings", content=body, timeout=30)

    assert response.status_code == 200
    assert [len(row["embedding"]) for row in response.json()["data"]] == [384] * 4
    assert 512 <= response.json()["usage"]["total_tokens"] < 512 + 40


def test_what_stands_behind_a_nul_still_counts(embedder: str) -> None:
    one, other = _vectors(embedder, input=["a\x00 dog barks", "a\x00 tax return"])

    assert _cosine(one, other) < 0.99


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b'{"input": 3}', 400),
        (b'{"input": ["a", 3]}', 400),
        (b'{"input": "a", "input_type": "song"}', 400),
        (b"[" * 100_000, 400),
        (b'{"input": [' + b'"a",' * 64 + b'"a"]}', 400),
        (b" " * (1024 * 1024 + 1), 413),
        (b'{"input": []}', 200),
    ],
)
def test_a_request_beyond_the_bounds_is_refused(embedder: str, body: bytes, status: int) -> None:
    assert httpx.post(f"{embedder}/v1/embeddings", content=body, timeout=30).status_code == status


def _ask_long(url: str, words: str) -> httpx.Response:
    body = {"messages": [{"role": "user", "content": words}], "max_tokens": 16, "temperature": 0, "ignore_eos": True}
    return httpx.post(f"{url}/v1/chat/completions", json=body, timeout=120)


def test_as_many_requests_as_it_has_slots_each_fill_the_context_that_it_tells(processes: Processes) -> None:
    tiny = tiny_model()
    options = ["--model", str(tiny.path), "--alias", tiny.name, "--ctx", "512"]
    url = processes.start("slots", ["inference.engines.llamacpp", *options], {}).wait_listening(40)
    (listed,) = httpx.get(f"{url}/v1/models", timeout=10).json()["data"]
    told = listed["meta"]["n_ctx"]
    # A word of this model is one token, and its template takes fewer than 50.
    prompts = [" ".join([word] * (told - 16 - 50)) for word in ("dog", "cat", "house", "tree")]
    with ThreadPoolExecutor(SLOTS) as threads:
        answers = list(threads.map(_ask_long, [url] * SLOTS, prompts))

    assert told == 512
    assert [answer.status_code for answer in answers] == [200] * SLOTS, [answer.text for answer in answers]
    used = [answer.json()["usage"] for answer in answers]
    assert [usage["completion_tokens"] for usage in used] == [16] * SLOTS
    assert min(usage["total_tokens"] for usage in used) > 0.9 * told


@pytest.mark.parametrize(("free_gb", "context"), [(0.2, 2048), (1, 2048), (2, 4096), (4, 8192), (64, 8192)])
def test_a_context_is_halved_until_the_cache_fits_a_quarter_of_the_free_memory(free_gb: float, context: int) -> None:
    # 4 slots of 8,192 tokens at 23,040 bytes are 0.75 GB.
    assert context_for(tiny_model().path, most=CONTEXT, free_bytes=int(free_gb * 1e9)) == context


def test_a_head_that_says_nothing_limits_nothing(tmp_path: Path) -> None:
    file = tmp_path / "odd.gguf"
    heads = (b"", b"GGUF", b"GGUF\x03\0\0\0" + b"\xff" * 64, b"GGUF\x03\0\0\0" + b"\0" * 8 + b"\x01" + b"\0" * 7 + b"\xff" * 8)
    for head in heads:
        file.write_bytes(head)

        assert (cache_bytes(file), context_for(file, most=CONTEXT, free_bytes=1)) == (0, CONTEXT)
