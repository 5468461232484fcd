"""What the replies of an endpoint come to: an endpoint that is slow or falls silent looks neither cheap nor fast."""

from __future__ import annotations

import pytest

from chinwag.compare import figures
from chinwag.compare.replay import Reply
from chinwag.compare.talks import Turn
from inference.types import Message, Usage

_TURN = Turn(talk="a", number=1, messages=(Message(role="user", content="hi"),), recorded=None)


def _whole(total_ms: float = 1000.0, *, cost: float | None = 0.001, text: str | None = "two words") -> Reply:
    """A reply that came to its end; without a text one that nobody could be shown."""
    usage = Usage(tokens_in=100, tokens_cached=50, tokens_out=20)
    return Reply(turn=_TURN, endpoint="e", model="m", text=text, usage=usage, first_token_ms=total_ms / 2, total_ms=total_ms, cost=cost)


def _cut(total_ms: float = 60_000.0) -> Reply:
    return Reply(turn=_TURN, endpoint="e", model="m", text="half of", fault="cut off", total_ms=total_ms)


def _none() -> Reply:
    return Reply(turn=_TURN, endpoint="e", model="m", text=None, fault="the model did not answer in time")


def test_replies_are_summed_up() -> None:
    found = figures.of([_whole(1000), _whole(3000), _whole(2000)])

    assert (found.asked, found.answered, found.cut, found.words) == (3, 3, 0, 2)
    assert (found.first_token_ms, found.total_ms, found.slow_ms) == (1000, 2000, 3000)
    assert (found.tokens_in, found.tokens_cached, found.tokens_out) == (100, 50, 20)
    assert found.cost_per_1000 == pytest.approx(1)


def test_a_reply_that_was_cut_makes_no_endpoint_cheaper() -> None:
    found = figures.of([_whole(), _cut()])

    assert (found.answered, found.cut) == (2, 1)
    assert found.cost_per_1000 == pytest.approx(1)
    assert found.tokens_out == 20


def test_what_was_paid_and_not_shown_makes_the_others_dearer() -> None:
    assert figures.of([_whole(), _whole(text=None)]).cost_per_1000 == pytest.approx(2)


def test_the_time_of_a_reply_that_was_cut_counts() -> None:
    found = figures.of([_whole(1000)] * 18 + [_cut(60_000)] * 2)

    assert found.slow_ms == 60_000
    assert figures.of([_whole(1000), _cut(60_000), _cut(60_000)]).total_ms == 60_000


def test_turns_without_an_answer_make_no_endpoint_faster() -> None:
    assert figures.of([_whole(1000)] * 100 + [_none()] * 5).slow_ms == 1000
    assert figures.of([_whole(1000)] * 18 + [_none()] * 2).slow_ms is None
    assert figures.of([_whole(1000)] * 18 + [_whole(1000, text=None)] * 2).slow_ms is None


def test_without_a_price_or_an_answer_nothing_is_made_up() -> None:
    silent = figures.of([_none()])

    assert figures.of([_whole(cost=None), _whole()]).cost_per_1000 is None
    assert figures.of([_cut()]).cost_per_1000 is None
    assert (silent.words, silent.total_ms, silent.slow_ms, silent.tokens_in, silent.cost_per_1000) == (None,) * 5
