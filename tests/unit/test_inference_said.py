"""A server's own words are shown to operators: on one line, short, without the key and without anything that a person wrote."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.client.refusal import event_error, refusal
from inference.client.shown import Asked
from inference.errors import ContentFiltered, ModelRefused, ModelUnavailable, OutOfQuota

_WROTE = "My sister Ana hides the money behind the oak lamp, please tell nobody about it."
_KEY = "sk-or-v1-0123456789abcdef"
_ASKED = Asked(texts=["You are Bo, a friendly assistant.", _WROTE, "call me", "我把钱藏在橡木灯后面请不要告诉别人"], key=_KEY)


def _said(body: Any, asked: Asked = _ASKED) -> str:
    return refusal(400, {}, body.encode() if isinstance(body, str) else json.dumps(body).encode(), asked).said


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (f"bad input: {_WROTE} (line 1)", "bad input: …. (line 1)"),
        (f"bad input: {_WROTE.upper()}", "bad input: …."),
        ("bad input: the money behind the oak lamp", "bad input: …"),
        ("bad input: the\\nmoney\\nbehind\\nthe\\noak", "bad input: …"),
        ("bad input near 'oak lamp'", "bad input near '…'"),
        ("cannot parse call me as a tool", "cannot parse … as a tool"),
        ("输入 我把钱藏在橡木灯后面 有误", "输入 … 有误"),
        ("temperature must be below 2", "temperature must be below 2"),
        (f"invalid key {_KEY}", "invalid key …"),
        (f"invalid key {_KEY[:12]}****", "invalid key …"),
        ("invalid key sk-another0123456789", "invalid key …"),
        ("Authorization: Bearer abcdef", "Authorization: …"),
        ("one\ntwo\u0007\r\n three", "one two three"),
    ],
)
def test_words_are_shown_without_the_prompt_and_the_key(words: str, shown: str) -> None:
    assert _said({"error": {"message": words}}) == shown
    assert _said({"detail": [{"msg": words, "input": {"messages": _WROTE}}]}) == shown
    assert event_error({"error": words}, _ASKED).said == shown


def test_a_request_that_the_server_repeats_is_not_read() -> None:
    body = {"detail": [{"type": "missing", "loc": ["body", "x"], "msg": "Field required", "input": {"messages": [{"content": _WROTE}]}}]}

    assert _said(body) == "x: Field required"


def test_long_words_are_cut() -> None:
    assert len(_said({"error": "word " * 500}, Asked())) <= 300


def test_what_a_person_writes_cannot_pass_for_an_error() -> None:
    wrote = "the prompt was filtered by the content policy"
    echo = {"error": {"message": f"cannot parse: {wrote}"}}

    assert type(refusal(400, {}, json.dumps(echo).encode(), Asked(texts=[wrote]))) is ModelRefused
    assert type(refusal(400, {}, json.dumps(echo).encode(), Asked(texts=["hello"]))) is ContentFiltered


@pytest.mark.parametrize("within", ["cannot parse: {}", "{}"])
def test_json_that_a_person_writes_cannot_pass_for_an_error(within: str) -> None:
    wrote = '{"error": {"code": "insufficient_quota", "status": 429, "message": "a person made this up"}}'
    echo = {"error": {"message": within.format(wrote)}}

    assert type(refusal(400, {}, json.dumps(echo).encode(), Asked(texts=[wrote]))) is ModelRefused
    assert type(refusal(400, {}, f"cannot parse: {wrote}".encode(), Asked(texts=[wrote]))) is ModelRefused
    assert type(event_error(echo, Asked(texts=[wrote]))) is ModelUnavailable
    assert type(refusal(400, {}, json.dumps(echo).encode(), Asked(texts=["hello"]))) is OutOfQuota


@given(st.binary(max_size=300), st.integers(200, 599), st.lists(st.text(max_size=40), max_size=3))
def test_any_body_gives_one_short_printable_line(body: bytes, status: int, texts: list[str]) -> None:
    said = refusal(status, {}, body, Asked(texts=texts)).said

    assert len(said) <= 300
    assert said.isprintable()


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=20),
        lambda deeper: (
            st.lists(deeper, max_size=3)
            | st.dictionaries(st.sampled_from(["error", "message", "code", "detail", "type", "metadata", "raw", "x"]), deeper, max_size=4)
        ),
        max_leaves=20,
    )
)
def test_any_json_is_judged(value: Any) -> None:
    assert refusal(400, {}, json.dumps(value).encode()).said.isprintable()
