"""What a call took: the server's counts where they can be true, else those made here; never nothing for a text, never more than can be stored."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.tokens import estimate
from inference.types import Endpoint, Image, Message, Price, Traits, Usage
from inference.usage import cost_of, counted

_SEES = Endpoint(name="e", url="http://127.0.0.1:9/v1", model="m", traits=Traits(vision=True))
_BLIND = Endpoint(name="e", url="http://127.0.0.1:9/v1", model="m")
_ASKED = [Message(role="system", content="You are kind."), Message(role="user", content="When does the ferry leave?")]
_TEXT = "The ferry leaves at seven."
#: The largest number of the columns.
_INTEGER = 2**31 - 1


def _words(text: str) -> int:
    return len(text.split())


def _took(usage: Usage | None, *, endpoint: Endpoint = _BLIND, messages: list[Message] = _ASKED, text: str = _TEXT) -> Usage:
    return counted(usage, endpoint=endpoint, messages=messages, text=text, count=_words)


def test_what_a_server_counted_stays_as_it_is_and_nothing_is_counted_here() -> None:
    def count(text: str) -> int:
        raise AssertionError(text)

    usage = Usage(tokens_in=40, tokens_cached=32, tokens_out=6)

    assert counted(usage, endpoint=_BLIND, messages=_ASKED, text=_TEXT, count=count) == usage


@pytest.mark.parametrize(
    "usage",
    [
        None,
        Usage(),
        Usage(tokens_in=-1, tokens_out=-1, tokens_cached=-1),
        Usage(tokens_in=2**63, tokens_out=2**63, tokens_cached=2**63),
        Usage(tokens_in=_INTEGER + 1, tokens_out=_INTEGER + 1),
        Usage(tokens_cached=30),
    ],
    ids=["missing", "zero", "negative", "huge", "no integer", "cached alone"],
)
def test_counts_that_are_missing_or_impossible_are_made_here_and_marked(usage: Usage | None) -> None:
    # 8 words, 6 tokens of the template for each of 2 messages, 8 for the prompt.
    assert _took(usage) == Usage(tokens_in=8 + 2 * 6 + 8, tokens_cached=0, tokens_out=5, estimated=True)


def test_only_the_missing_half_is_counted_here() -> None:
    assert _took(Usage(tokens_in=40, tokens_cached=32)) == Usage(tokens_in=40, tokens_cached=32, tokens_out=5, estimated=True)
    assert _took(Usage(tokens_out=6)) == Usage(tokens_in=28, tokens_out=6, estimated=True)


def test_an_answer_without_text_took_its_prompt() -> None:
    assert _took(Usage(), text="") == Usage(tokens_in=28, estimated=True)
    assert _took(Usage(tokens_in=40), text="") == Usage(tokens_in=40)


def test_more_cached_tokens_than_the_prompt_has_are_as_many_as_it_has() -> None:
    assert _took(Usage(tokens_in=40, tokens_cached=2**63, tokens_out=6)) == Usage(tokens_in=40, tokens_cached=40, tokens_out=6)


def test_pictures_count_where_the_endpoint_was_shown_them() -> None:
    picture = Message(role="user", content="What is this?", images=(Image(media_type="image/png", data=b"x", tokens=500),))

    assert _took(None, endpoint=_SEES, messages=[picture]).tokens_in == 3 + 500 + 6 + 8
    # In its place it was sent a line that says so.
    assert 3 < _took(None, endpoint=_BLIND, messages=[picture]).tokens_in < 50


def test_what_the_reader_marked_stays_marked() -> None:
    assert _took(Usage(tokens_in=40, tokens_out=6, estimated=True)).estimated


_ANY = st.integers(-(2**70), 2**70)


@given(tokens_in=_ANY, cached=_ANY, out=_ANY, text=st.text())
def test_whatever_a_server_counts_the_columns_hold_it_and_no_text_is_free(tokens_in: int, cached: int, out: int, text: str) -> None:
    usage = Usage(tokens_in=tokens_in, tokens_cached=cached, tokens_out=out)
    took = counted(usage, endpoint=_BLIND, messages=_ASKED, text=text, count=estimate)
    cost = cost_of(Price(tokens_in=2.5, tokens_cached=1.25, tokens_out=10.0), took)

    # A hundred of them are still an integer: an item may be tried often.
    assert 0 <= took.tokens_cached <= took.tokens_in <= _INTEGER // 100
    assert took.tokens_in > 0
    assert (took.tokens_out > 0) or not text.strip()
    assert took.tokens_out <= _INTEGER // 100
    assert cost is not None
    assert cost > 0


@pytest.mark.parametrize("usd", [math.nan, math.inf, -1.0])
def test_a_price_that_is_none_costs_nothing_that_could_spoil_a_sum(usd: float) -> None:
    assert cost_of(Price(tokens_in=usd, tokens_out=usd), Usage(tokens_in=40, tokens_out=6)) is None
