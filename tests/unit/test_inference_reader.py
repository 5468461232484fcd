"""Reading a streamed completion: any cut of the bytes gives the same answer, and no bytes give a crash."""

from __future__ import annotations

import time
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.client.reader import Progress
from inference.errors import InferenceError, ModelBusy, ModelUnavailable, PromptTooLong
from inference.types import Usage
from tests.support.model_player import stream_of

_STREAM = (
    ": ping\r\n\r\n"
    'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":null},"finish_reason":null}]}\r\n\r\n'
    'data: {"choices":[{"index":0,"delta":{"content":"Olá"}}]}\n\n'
    'data:{"choices":[{"index":1,"delta":{"content":"NO"}},{"index":0,"delta":{"content":" João"}}],"usage":null}\n\n'
    'event: more\ndata: {"choices":[{"index":0,"delta":{},"finish_reason":"length"}]}\n\n'
    'data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":5}},"new":[1]}\n\n'
    "data: [DONE]\n\n"
).encode()


@given(st.lists(st.integers(0, len(_STREAM)), max_size=30))
def test_any_cut_of_the_stream_gives_the_same_answer(cuts: list[int]) -> None:
    borders = [0, *sorted(cuts), len(_STREAM)]
    seen: list[str] = []
    progress = Progress(seen.append)
    for start, end in pairwise(borders):
        progress.feed(_STREAM[start:end])
    progress.end()
    answer = progress.answer(started=0, ended=1)

    assert answer.text == "Olá João"
    assert answer.usage == Usage(tokens_in=7, tokens_cached=5, tokens_out=2)
    assert answer.finish_reason == "length"
    assert seen[-1] == "Olá João"


_COUNTS = st.one_of(st.none(), st.integers(-3, 3_000_000_000), st.booleans(), st.floats(0, 1e6), st.sampled_from(["7", "x", ""]))


@given(
    st.fixed_dictionaries(
        {"prompt_tokens": _COUNTS, "completion_tokens": _COUNTS, "total_tokens": _COUNTS},
        optional={"prompt_tokens_details": st.one_of(st.none(), st.fixed_dictionaries({"cached_tokens": _COUNTS}))},
    )
)
def test_counts_of_the_ordinary_form_are_read_as_they_are_with_a_field_that_nobody_knows(usage: dict[str, object]) -> None:
    read: list[Usage] = []
    for more in ({}, {"new": [1]}):
        progress = Progress()
        for event in (
            {"choices": [{"index": 0, "delta": {"content": "Hi"}}]},
            {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
            {"choices": [], "usage": usage, **more},
        ):
            progress.feed(b"data: " + msgspec.json.encode(event) + b"\n\n")
        progress.end()
        read.append(progress.answer(started=0, ended=1).usage)

    assert read[0] == read[1]


@pytest.mark.parametrize("end", [b"", b'data: {"choices":[{"index":0,"del', b": ping\n\n"])
def test_a_stream_that_ends_in_the_middle_is_no_answer(end: bytes) -> None:
    progress = Progress()
    progress.feed(b'data: {"choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n' + end)

    with pytest.raises(ModelUnavailable):
        progress.end()


def test_pings_are_no_sign_of_an_answer() -> None:
    progress = Progress()

    assert not progress.feed(b": ping\n\n: ping\n\n")
    assert progress.first_at is None


def test_thoughts_show_life_and_are_not_kept() -> None:
    progress = Progress()
    progress.feed(b'data: {"choices":[{"delta":{"reasoning_content":"hm"}}]}\n\n')

    assert progress.first_at is not None
    assert not progress.text


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ('{"code":500,"message":"died"}', ModelUnavailable),
        ('"died"', ModelUnavailable),
        ('{"code":503,"message":"busy"}', ModelBusy),
        ('{"code":400,"type":"exceed_context_size_error"}', PromptTooLong),
    ],
)
def test_an_error_inside_the_stream_has_its_meaning(error: str, kind: type[InferenceError]) -> None:
    with pytest.raises(kind):
        Progress().feed(f'data: {{"error":{error}}}\n\n'.encode())


@pytest.mark.parametrize(
    "data",
    [
        b"[]",
        b"null",
        b"1",
        b"{",
        b"\xff",
        b"ping",
        b"{}",
        b'{"choices":null}',
        b'{"choices":[{"delta":{"content":{}}}]}',
        b'{"choices":[' + b"[" * 100_000,
    ],
)
def test_what_is_not_understood_is_passed_over(data: bytes) -> None:
    progress = Progress()
    half = len(_STREAM) // 2
    for piece in (b"data: " + data + b"\n\n", _STREAM[:half], _STREAM[half:]):
        progress.feed(piece)
    progress.end()

    assert progress.answer(started=0, ended=1).text == "Olá João"


def test_a_whole_completion_is_read_too() -> None:
    progress = Progress()
    progress.feed(b'{"choices":[{"index":0,"message":{"content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3}}')
    progress.end()

    assert progress.answer(started=0, ended=1).text == "Hi"


@given(st.binary())
def test_any_bytes_are_read_or_rejected(data: bytes) -> None:
    progress = Progress()
    try:
        progress.feed(b"data: " + data)
        progress.feed(data + b"\n")
        progress.end()
    except InferenceError:
        return


_PLAIN = b"".join(stream_of(["@words", "@stop", "@usage", "@done"]))
_ENDS = {"lf": b"\n", "crlf": b"\r\n", "cr": b"\r"}


@pytest.mark.parametrize("end", _ENDS)
@pytest.mark.parametrize("head", [b"data: ", b"data:", b""])
def test_an_ordinary_stream_cut_at_every_byte_gives_the_same_answer(end: str, head: bytes) -> None:
    stream = _PLAIN.replace(b"ferry", "férry🎈".encode()).replace(b"data: ", head).replace(b"\n", _ENDS[end])
    for cut in range(len(stream) + 1):
        progress = Progress()
        for piece in (stream[:cut], stream[cut:]):
            progress.feed(piece)
        progress.end()
        answer = progress.answer(started=0, ended=1)

        assert (answer.text, answer.usage.tokens_out, answer.finish_reason) == ("The férry🎈 leaves at seven.", 6, "stop")


_ORDINARY = [
    ['{"choices":[{"index":0,"delta":{"role":"assistant","content":"Hi"}}]}', '{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}'],
    ['{"choices":[{"index":2,"delta":{"content":"Hi"}}]}', '{"choices":[{"index":2,"delta":{"content":""},"finish_reason":"length"}]}'],
    ['{"choices":[{"delta":{"content":"Hi"}}]}', '{"choices":[{"delta":{"content":" there"}}]}', '{"choices":[{"delta":{},"finish_reason":"stop"}]}'],
    ['{"choices":[{"delta":{"content":"Hi"}}]}', '{"choices":[{"index":1,"delta":{},"finish_reason":"length"}]}', "[DONE]"],
    ['{"choices":[{"delta":{"content":"Hi"}}]}', '{"choices":[{"delta":{},"finish_reason":"stop"}]}', '{"choices":[{"delta":{"content":"!"}}]}', "[DONE]"],
    ['{"choices":[{"delta":{"content":""}}]}', '{"choices":[{"delta":{"content":"Hi"}}]}', '{"choices":[{"delta":{},"finish_reason":"stop"}]}'],
    ['{"choices":[{"message":{"content":"Hi"}}]}'],
    ['{"choices":[{"delta":{"content":"Hi"}}]}', '{"choices":[{"message":{"content":"Hi"}}]}'],
]  # fmt: skip


@pytest.mark.parametrize("events", _ORDINARY)
def test_an_ordinary_event_means_what_it_means_with_a_field_that_nobody_knows(events: list[str]) -> None:
    def read(events: list[str]) -> tuple[object, ...]:
        progress = Progress()
        for event in events:
            progress.feed(f"data: {event}\n\n".encode())
        ended = progress.ended
        try:
            progress.end()
        except InferenceError as error:
            return type(error), progress.text, ended
        answer = progress.answer(started=0, ended=1)
        return answer.text, answer.finish_reason, answer.usage, ended

    odd = [event.replace("{", '{"nobody":0,', 1) for event in events]

    assert read(events) == read(odd)


def test_a_stream_that_stops_at_any_byte_gives_the_text_so_far_or_all_of_it() -> None:
    for cut in range(len(_PLAIN)):
        progress = Progress()
        progress.feed(_PLAIN[:cut])
        try:
            progress.end(is_clean=False)
        except ModelUnavailable:
            assert "The ferry leaves at seven.".startswith(progress.text)
            assert b'"stop"}]}\n' not in _PLAIN[:cut]
        else:
            assert progress.text == "The ferry leaves at seven."


def test_a_character_in_two_halves_is_put_together() -> None:
    progress = Progress()
    for half in ("\\ud83c", "\\udf88"):
        progress.feed(b'data: {"choices":[{"index":0,"delta":{"content":"%s"}}]}\n\n' % half.encode())

    assert progress.text == "🎈"


@pytest.mark.parametrize("junk", [b"{\n\n", b"{\n", b"[1,\n\n", b"data: {\n", b"x: y\n", b"event: e\n", b'{"a"}\n', b'data: {"a"}\n'])
def test_many_lines_that_are_nothing_take_little_time(junk: bytes) -> None:
    progress = Progress()
    began = time.process_time()
    progress.feed(junk * (256 * 1024 // len(junk)))
    with pytest.raises(ModelUnavailable):
        progress.end()
    singly = Progress()
    for byte in junk * (128 * 1024 // len(junk)):
        singly.feed(bytes([byte]))

    assert time.process_time() - began < 3


def test_a_megabyte_byte_by_byte_takes_little_time() -> None:
    progress = Progress()
    began = time.process_time()
    for _ in range(1024 * 1024):
        progress.feed(b"x")

    assert time.process_time() - began < 5
