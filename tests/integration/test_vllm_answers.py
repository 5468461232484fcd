"""What vLLM 0.32 answers, byte for byte as the real one sent it (tests/corpus/vllm/*.http), and what our client makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from inference.client import Breaker, ModelClient
from inference.errors import InferenceError, ModelBusy, ModelRefused, ModelUnavailable, PromptTooLong
from inference.types import Answer, Endpoint, Message, Timeouts, Traits

_CORPUS = Path(__file__).parents[1] / "corpus" / "vllm"
#: The context of the engine that sent them.
_CONTEXT = 4096
_CANARY = "canary words of a person"


class _Replay(BaseHTTPRequestHandler):
    """Answers any question with the file that the path names."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        name = self.path.split("/")[1]
        head, _, body = (_CORPUS / f"{name}.http").read_bytes().partition(b"\n\n")
        status, *fields = head.decode("ascii").split("\n")
        self.send_response(int(status.split()[1]))
        for field in fields:
            self.send_header(*field.split(": ", 1))
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - the name is given
        """Say nothing."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Replay) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def _ask(address: str, file: str, wanted: int = 512) -> Answer:
    endpoint = Endpoint(name="engine", url=f"{address}/{file}/v1", model="tiny", traits=Traits(context=_CONTEXT))
    client = ModelClient(endpoint, timeouts=Timeouts(), breaker=Breaker())
    return client.chat([Message(role="user", content=_CANARY)], max_tokens=wanted, temperature=0)


def _failed(address: str, file: str) -> InferenceError:
    with pytest.raises(InferenceError) as raised:
        _ask(address, file)
    return raised.value


@pytest.mark.parametrize(
    ("file", "wanted", "finish", "counts"),
    [
        ("stream_that_stops", 40, "stop", (23, 0, 23)),
        ("stream_cut_at_max_tokens", 3, "length", (23, 0, 3)),
        ("stream_with_counts_in_each_event", 3, "length", (23, 0, 3)),
        ("stream_again_with_cached_tokens", 4, "length", (89, 64, 4)),
        ("whole_answer", 3, "length", (23, 0, 3)),
    ],
)
def test_a_whole_answer_with_its_counts(address: str, file: str, wanted: int, finish: str, counts: tuple[int, int, int]) -> None:
    answer = _ask(address, file, wanted)
    usage = answer.usage

    assert (answer.finish_reason, (usage.tokens_in, usage.tokens_cached, usage.tokens_out)) == (finish, counts)
    # Each token is a word; the one that it stopped at is not given out.
    assert len(answer.text.split()) == counts[2] - (finish == "stop")


def test_a_stream_without_counts_is_whole_too(address: str) -> None:
    answer = _ask(address, "stream_without_counts", 3)

    assert (answer.finish_reason, len(answer.text.split())) == ("length", 3)


@pytest.mark.parametrize(("file", "counts"), [("stream_of_a_stump", (4093, 3)), ("stump", (4086, 10))])
def test_what_fills_the_context_long_before_it_is_whole_is_too_long(address: str, file: str, counts: tuple[int, int]) -> None:
    error = _failed(address, file)

    assert isinstance(error, PromptTooLong)
    assert error.usage is not None
    assert (error.usage.tokens_in, error.usage.tokens_out) == counts
    assert len(error.text.split()) == counts[1]


@pytest.mark.parametrize(
    ("file", "limit", "size"),
    [
        # vLLM takes what is left of the context for max_tokens, and then complains about its own number.
        ("prompt_that_fills_the_context", 0, 0),
        # It stops counting at limit + 1, so the size is no size.
        ("prompt_too_long", _CONTEXT, 0),
        ("picture_too_long", _CONTEXT, 4163),
    ],
)
def test_what_leaves_no_token_is_too_long(address: str, file: str, limit: int, size: int) -> None:
    error = _failed(address, file)

    assert isinstance(error, PromptTooLong)
    assert (error.limit, error.size) == (limit, size)


@pytest.mark.parametrize(
    ("file", "said"),
    [
        # However short the prompt: a shorter one would not help.
        ("more_wanted_than_the_context", "max_tokens=5000 cannot be greater than max_model_len=4096"),
        ("too_many_pictures", "At most 5 image(s) may be provided in one prompt"),
        ("field_out_of_range", "temperature must be in [0, 2], got 3.0"),
        ("field_of_the_wrong_type_quotes_what_was_sent", ""),
        ("half_a_json", "JSON decode error"),
        ("model_that_is_not_there", "The model `other` does not exist"),
        ("picture_that_is_none", "Failed to load image"),
        ("picture_without_vision", "tiny is not a multimodal model"),
        ("path_that_is_not_there", "Not Found"),
    ],
)
def test_another_refusal_is_none_of_length_and_has_vllms_words_without_those_of_people(address: str, file: str, said: str) -> None:
    error = _failed(address, file)

    assert isinstance(error, ModelRefused)
    assert not isinstance(error, PromptTooLong)
    assert said in error.said
    assert _CANARY not in error.said + str(error)


def test_a_full_queue_is_busy(address: str) -> None:
    assert isinstance(_failed(address, "queue_full"), ModelBusy)


@pytest.mark.parametrize(
    ("file", "words", "tokens"),
    [
        ("stream_of_an_engine_that_is_stopped", 9, 9),
        ("answer_of_an_engine_that_is_stopped", 11, 11),
        ("stream_of_an_engine_that_is_killed", 6, None),
        ("answer_of_an_engine_that_is_killed", 0, None),
        ("stream_after_the_engine_was_stopped", 0, None),
        ("answer_after_the_engine_was_stopped", 0, None),
        # During --shutdown-timeout what runs is finished, and what comes gets this.
        ("server_that_drains", 0, None),
    ],
)
def test_an_engine_that_ends_is_unavailable_and_its_half_answer_is_not_whole(
    address: str, file: str, words: int, tokens: int | None
) -> None:
    error = _failed(address, file)

    assert isinstance(error, ModelUnavailable)
    assert not isinstance(error, ModelBusy)
    assert len(error.text.split()) == words
    assert (error.usage.tokens_out if error.usage else None) == tokens
