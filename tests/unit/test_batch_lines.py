"""Lines of a batch file: what is taken, and what is said of each that is not."""

from __future__ import annotations

import gzip
import io
import json
import re
import tracemalloc
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.batch_lines import BadLine, Line, LineReader, check

_GOOD = {"custom_id": "a1", "text": "Where is the pharmacy?"}
_ASKED = {"messages": [{"role": "user", "content": "Hi"}]}


def _read(data: bytes, *, most: int = 1000, step: int = 7) -> list[Line | BadLine]:
    reader = LineReader(line_bytes=most)
    found: list[Line | BadLine] = []
    for start in range(0, len(data), step):
        found += reader.feed(data[start : start + step])
    return found + list(reader.end())


def _reasons(data: bytes, **options: int) -> list[tuple[int, str]]:
    return [(line.n, line.reason) for line in _read(data, **options) if isinstance(line, BadLine)]


def _request(**body: object) -> bytes:
    return json.dumps({"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": _ASKED | body}).encode()


def _asked(raw: bytes) -> dict[str, object]:
    return json.loads(check(raw)[1])


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
@pytest.mark.parametrize("step", [1, 3, 1000])
def test_lines_come_out_whole_whatever_pieces_they_came_in(end: str, step: int) -> None:
    data = ("\ufeff" + json.dumps(_GOOD) + "\n\n  \n" + json.dumps({"custom_id": "b", "text": "čau"}) + end).encode()

    assert [(line.n, line.custom_id) for line in _read(data, step=step) if isinstance(line, Line)] == [(1, "a1"), (4, "b")]


def _zipped() -> bytes:
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w") as file:
        file.writestr("a.jsonl", json.dumps(_GOOD))
    return kept.getvalue()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"\n \n\t\n", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (_zipped(), "zip"),
        (gzip.compress(b"{}", mtime=0), "gzip"),
        (json.dumps(_GOOD).encode("utf-16"), "UTF-16"),
        (b"%PDF-1.7 ...", "PDF"),
        (b' [\n{"custom_id": "a", "text": "b"}\n]', "JSON list"),
    ],
)
def test_a_file_that_is_no_lines_at_all_is_refused_as_a_whole(data: bytes, words: str) -> None:
    first = _reasons(data)[0]

    assert first[0] == 0
    assert words in first[1]


def test_a_wrong_encoding_is_named_by_its_byte_and_place() -> None:
    data = json.dumps(_GOOD).encode() + b"\n" + '{"custom_id": "b", "text": "Málaga"}'.encode("latin-1")
    ((n, reason),) = _reasons(data)
    place = data.index(b"\xe1") + 1

    assert n == 2
    assert f"byte 0xe1 at position {place - 54} of the line (byte {place} of the file)" in reason


def test_a_line_that_is_too_long_is_one_bad_line_and_the_next_ones_are_read() -> None:
    long = json.dumps({"custom_id": "l", "text": "x" * 2000}).encode()
    found = _read(long + b"\n" + json.dumps(_GOOD).encode() + b"\n" + long, most=1000)

    assert [(line.n, isinstance(line, Line)) for line in found] == [(1, False), (2, True), (3, False)]


def test_a_line_of_fifty_megabytes_is_not_held_in_memory() -> None:
    reader = LineReader(line_bytes=10_000)
    piece = b"x" * 65_536
    tracemalloc.start()
    for _ in range(800):
        assert list(reader.feed(piece)) == []
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert [line.reason for line in reader.end() if isinstance(line, BadLine)] == ["the line is longer than 10000 bytes"]
    assert peak < 1_000_000


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("nothing", "not JSON: Expecting value at character 1"),
        ('{"custom_id": "a", "text": "b"', "not JSON"),
        ("[1]", "not a JSON object"),
        ('"text"', "not a JSON object"),
        ("null", "not a JSON object"),
        ("[" * 50_000, "not JSON that can be read"),
        ('{"custom_id": "a", "text": NaN}', "not JSON that can be read"),
        ('{"custom_id": "a", "text": ' + "9" * 5000 + "}", "not JSON that can be read"),
        ('{"text": "b"}', "custom_id is missing"),
        ('{"custom_id": 7, "text": "b"}', "custom_id must be a text"),
        ('{"custom_id": " ", "text": "b"}', "custom_id must be a text"),
        ('{"custom_id": "a\\u0000", "text": "b"}', "custom_id holds a character"),
        ('{"custom_id": "a\\ud800", "text": "b"}', "custom_id holds a character"),
        (json.dumps({"custom_id": "a" * 513, "text": "b"}), "longer than 512"),
        ('{"custom_id": "a"}', '"text" is missing'),
        ('{"custom_id": "a", "text": ""}', '"text" is empty'),
        ('{"custom_id": "a", "text": ["b"]}', '"text" must be a text'),
        ('{"custom_id": "a", "text": "b\\u0000"}', "NUL"),
        ('{"custom_id": "a", "text": "b\\ud83d"}', "half a character"),
        ('{"custom_id": "a", "text": "b", "tekst": "c"}', '"tekst" is not a field'),
    ],
)
def test_each_bad_line_is_told_apart(line: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        check(line.encode())


def test_an_openai_line_is_taken_with_what_it_chooses() -> None:
    raw = _request(max_completion_tokens=50, temperature=0, top_p=1, model="gpt-4o", stream=False, n=1, stop=None, tools=[], user="u")

    assert _asked(raw) == _ASKED | {"max_tokens": 50, "temperature": 0.0, "top_p": 1.0}


def test_developer_speaks_as_system_and_parts_of_text_are_joined() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    raw = _request(messages=[{"role": "developer", "content": "Be brief."}, {"role": "user", "content": parts}])

    assert _asked(raw)["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "a\nb"}]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"stream": True}, "streamed"),
        ({"n": 2}, "one answer a line"),
        ({"n": True}, "body.n"),
        ({"temperature": 3}, "from 0 to 2"),
        ({"temperature": True}, "from 0 to 2"),
        ({"max_tokens": 0}, "whole number"),
        ({"max_tokens": 1.5}, "whole number"),
        ({"top_p": 0}, "body.top_p"),
        ({"tools": [{"type": "function"}]}, "body.tools is not supported"),
        ({"response_format": {"type": "json_object"}}, "body.response_format is not supported"),
        ({"messages": []}, "list of messages"),
        ({"messages": "Hi"}, "list of messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "the role must be"),
        ({"messages": [{"role": ["user"], "content": "x"}]}, "the role must be"),
        ({"messages": [{"role": "user", "content": None}]}, "the content must be a text"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "only parts of type text"),
        ({"messages": [{"role": "user", "content": "x\0"}]}, "NUL"),
        ({"messages": [{"role": "assistant", "content": "", "tool_calls": [1]}]}, '"tool_calls" is not supported'),
    ],
)
def test_what_a_request_may_not_ask_for_is_said(body: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        check(_request(**body))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"method": "GET"}, "POST"),
        ({"url": "/v1/embeddings"}, "nothing else is answered"),
        ({"body": "x"}, "must be an object"),
        ({"text": "also"}, '"text" is not a field of a request'),
    ],
)
def test_a_request_to_elsewhere_is_refused(change: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        check(json.dumps(json.loads(_request()) | change).encode())


@given(st.binary(max_size=400))
def test_any_bytes_give_lines_or_reasons(data: bytes) -> None:
    for line in _read(data, most=100):
        assert isinstance(line, Line) or line.reason


@given(st.text(min_size=1).filter(lambda text: text.strip() and "\0" not in text))
def test_any_text_comes_through_as_it_is(text: str) -> None:
    assert _asked(json.dumps({"custom_id": "a", "text": text}).encode()) == {"text": text}
