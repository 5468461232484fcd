"""Embedding texts: prefixes once, batches, caps, the cache, and vectors that are checked; on the scripted server and on the embedded one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from math import isclose, sqrt
from typing import Any

import pytest

from inference.embed import Embedder
from inference.errors import (
    GarbageAnswer,
    InferenceError,
    ModelBusy,
    ModelRefused,
    ModelUnavailable,
    PromptTooLong,
    WrongDimensions,
)
from inference.types import Endpoint, Timeouts
from tests.support.model_servers import Scripted, scripted
from tests.support.processes import Processes

_SHORT = Timeouts(connect_s=1.0, first_token_s=1.0, total_s=1.0)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripted]:
    with scripted(tmp_path_factory.mktemp("embed"), "--flavour", "vllm", "--dimensions", "64") as model:
        yield model


@pytest.fixture
def server(running: Scripted) -> Scripted:
    running.reset()
    running.clear_log()
    return running


@pytest.fixture(scope="module")
def e5(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    processes = Processes(tmp_path_factory.mktemp("e5"))
    url = processes.start("embed", ["inference.embed_server", "--port", "0"], {}).wait_listening(60)
    yield Endpoint(name="embedded", url=f"{url}/v1", model="multilingual-e5-small")
    processes.end_all()


def _embedder(server: Scripted, prefixes: Any = "none", **more: Any) -> Embedder:
    return Embedder(server.endpoint(), prefixes=prefixes, **({"dimensions": 64, "timeouts": _SHORT} | more))


def _sent(server: Scripted) -> list[str]:
    return [text for entry in server.log() for text in entry["request"]["input"]]


def _near(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def test_a_request_has_the_fields_that_vllm_reads(server: Scripted) -> None:
    _embedder(server).passages(["one", "two"])

    assert [entry["request"] for entry in server.log()] == [{"model": "scripted", "input": ["one", "two"], "encoding_format": "float"}]


@pytest.mark.parametrize("text", ["a cat", "query: a cat"])
def test_a_prefix_is_there_once(server: Scripted, text: str) -> None:
    embedder = _embedder(server, "e5")
    embedder.query(text)
    embedder.passages([text.replace("query", "passage")])

    assert _sent(server) == ["query: a cat", "passage: a cat"]


@pytest.mark.parametrize("text", ["a cat", "query: a cat"])
def test_a_server_that_adds_prefixes_itself_is_told_the_kind_and_given_none(server: Scripted, text: str) -> None:
    _embedder(server, "server").query(text)
    (entry,) = server.log()

    assert (entry["request"]["input"], entry["request"]["input_type"]) == (["a cat"], "query")


def test_a_model_without_prefixes_gets_none(server: Scripted) -> None:
    _embedder(server).query("a cat")

    assert _sent(server) == ["a cat"]


def test_many_texts_go_in_batches_and_come_back_in_order(server: Scripted) -> None:
    texts = [f"text number {n}" for n in range(10)]
    embedder = _embedder(server, batch=4)
    server.script(vectors="shuffled")

    vectors = embedder.passages(texts)

    assert [len(entry["request"]["input"]) for entry in server.log()] == [4, 4, 2]
    assert vectors == [_embedder(server).passages([text])[0] for text in texts]


def test_a_batch_is_bounded_in_bytes_too(server: Scripted) -> None:
    _embedder(server, max_tokens=10**6, timeouts=Timeouts()).passages([chr(0x1F600 + n) * 8000 for n in range(40)])

    assert all(len(entry["request"]["input"]) <= 16 for entry in server.log())
    assert len(_sent(server)) == 40


def test_what_was_embedded_before_is_not_asked_again(server: Scripted) -> None:
    embedder = _embedder(server, "e5", cache_size=3)
    first = embedder.passages(["a", "b", "a"])

    assert embedder.passages(["b", "a"]) == [first[1], first[0]]
    assert first[0] == first[2]
    assert _sent(server) == ["passage: a", "passage: b"]

    embedder.query("a")
    embedder.passages(["a"])

    # The same words as a query are another text.
    assert _sent(server)[2:] == ["query: a"]

    embedder.passages(["c", "d"])
    embedder.passages(["a"])
    embedder.passages(["b"])

    # Three are kept, the ones used last: a was, b was not.
    assert _sent(server)[3:] == ["passage: c", "passage: d", "passage: b"]


def test_the_cache_holds_no_text(server: Scripted) -> None:
    embedder = _embedder(server)
    embedder.passages(["my secret diagnosis"])

    assert "diagnosis" not in repr(vars(embedder))


def test_what_no_server_takes_is_replaced(server: Scripted) -> None:
    _embedder(server).passages(["a\x00b", "half \ud83d", "", "  "])

    assert _sent(server) == ["a\ufffdb", "half \ufffd", "..."]


@pytest.mark.parametrize(("prefixes", "longest"), [("none", 100), ("e5", 100 + len("passage: ")), ("server", 100)])
def test_a_text_is_cut_at_so_many_characters(server: Scripted, prefixes: str, longest: int) -> None:
    _embedder(server, prefixes, max_chars=100).passages(["x y " * 1000])

    assert [len(text) for text in _sent(server)] == [longest]


@pytest.mark.parametrize("prefixes", ["none", "e5"])
def test_a_text_is_cut_at_so_many_tokens_as_the_server_counts_them(server: Scripted, prefixes: str) -> None:
    _embedder(server, prefixes, max_tokens=50).passages(["wonderful " * 200])
    (text,) = _sent(server)

    assert 40 <= len(text.split()) <= 48


@pytest.mark.parametrize("fault", ["nan", "null", "zero", "narrow", "missing", "doubled"])
def test_vectors_that_cannot_be_right_are_refused(server: Scripted, fault: str) -> None:
    server.script(vectors=fault)

    with pytest.raises(GarbageAnswer):
        _embedder(server).passages(["one", "two"])


def test_a_vector_of_another_length_is_made_one_of_length_one(server: Scripted) -> None:
    good = _embedder(server).query("a cat")
    server.script(vectors="unnormalised")
    scaled = _embedder(server).query("a cat")

    assert isclose(sqrt(_near(scaled, scaled)), 1, abs_tol=1e-6)
    assert isclose(_near(good, scaled), 1, abs_tol=1e-6)


@pytest.mark.parametrize(
    ("mode", "error"),
    [
        ("refuse503", ModelBusy),
        ("busy429", ModelBusy),
        ("down503", ModelUnavailable),
        ("error500", ModelUnavailable),
        ("close", ModelUnavailable),
        ("hang", ModelUnavailable),
        ("error400", ModelRefused),
        ("error401", ModelRefused),
        ("redirect", ModelRefused),
        ("toolong", PromptTooLong),
        ("garbage", GarbageAnswer),
    ],
)
def test_each_failure_has_its_error_in_time(server: Scripted, mode: str, error: type[InferenceError]) -> None:
    server.script(mode=mode)
    began = time.monotonic()

    with pytest.raises(InferenceError) as caught:
        _embedder(server).query("a cat")

    assert type(caught.value) is error
    assert time.monotonic() - began < _SHORT.total_s + 0.5


def test_a_server_that_is_not_there_is_unavailable() -> None:
    nowhere = Embedder(Endpoint(name="x", url="http://127.0.0.1:9/v1", model="m"), dimensions=4, prefixes="none")

    with pytest.raises(ModelUnavailable):
        nowhere.query("a cat")


def test_a_broken_kept_connection_is_replaced_unseen(server: Scripted) -> None:
    embedder = _embedder(server)
    embedder.query("first")
    server.script(mode="close", times=1)

    assert len(embedder.query("second")) == 64


def test_nothing_to_embed_asks_nothing(server: Scripted) -> None:
    assert _embedder(server).passages([]) == []
    assert server.log() == []


def test_dimensions_that_the_database_does_not_keep_are_named(server: Scripted) -> None:
    embedder = _embedder(server)
    embedder.check_dimensions(64)

    with pytest.raises(WrongDimensions, match="vectors of 64 numbers, but the database has 384"):
        embedder.check_dimensions(384)


def test_the_embedded_server_finds_the_passage_that_answers(e5: Endpoint) -> None:
    embedder = Embedder(e5, dimensions=384, prefixes="server", timeouts=Timeouts(total_s=30))
    embedder.check_dimensions(384)
    passages = embedder.passages(["Marta lives in Porto.", "The train has four wheels."])
    question = embedder.query("In which city does she live?")

    assert _near(question, passages[0]) > _near(question, passages[1])


def test_the_embedded_server_adds_each_prefix_once(e5: Endpoint) -> None:
    embedder = Embedder(e5, dimensions=384, prefixes="server", timeouts=Timeouts(total_s=30))

    assert isclose(_near(embedder.query("Porto"), embedder.query("query: Porto")), 1, abs_tol=1e-5)
    assert _near(embedder.query("Porto"), embedder.passages(["Porto"])[0]) < 0.999


def test_the_embedded_server_takes_the_longest_texts_and_batches(e5: Endpoint) -> None:
    embedder = Embedder(e5, dimensions=384, prefixes="server", timeouts=Timeouts(total_s=60))

    vectors = embedder.passages(["l\u00e4ngst " * 3000, "a\x00b", "\ud83d", "", *(f"{n} cats" for n in range(70))])

    assert {len(vector) for vector in vectors} == {384}
