"""An answer that the context cut off after a few tokens is no answer: a shorter prompt is asked."""

from __future__ import annotations

import pytest

from inference.client.stump import stump_of
from inference.types import Answer, Traits, Usage


def _answer(tokens_in: int, tokens_out: int, *, text: str = "The ferry", finish: str = "length") -> Answer:
    usage = Usage(tokens_in=tokens_in, tokens_out=tokens_out)
    return Answer(text=text, usage=usage, first_token_ms=1, total_ms=2, finish_reason="length" if finish == "length" else "stop")


@pytest.mark.parametrize(
    ("context", "tokens_in", "tokens_out", "is_stump"),
    [
        (4096, 4095, 1, True),
        (4096, 4000, 96, True),
        (4096, 4000, 95, True),
        (4096, 3596, 500, False),
        (4096, 1000, 512, False),
        # The server's own limit on answers.
        (4096, 1000, 100, False),
        (32768, 4095, 1, False),
        # Not known: the sum of both tells.
        (0, 4095, 1, True),
        (0, 4000, 96, True),
        (0, 4046, 50, True),
        (0, 3990, 71, True),
        (0, 3990, 100, False),
        (0, 3990, 128, False),
        (0, 40, 6, False),
        (0, 1000, 512, False),
    ],
)
def test_a_stump_fills_the_context_and_is_far_below_its_limit(context: int, tokens_in: int, tokens_out: int, is_stump: bool) -> None:
    found = stump_of(_answer(tokens_in, tokens_out, text="word " * tokens_out), ["hi"], 512, Traits(context=context))

    assert (found is not None) is is_stump
    if found is not None:
        assert (found.limit, found.size) == (context or tokens_in + tokens_out, tokens_in)


def test_thoughts_that_left_no_room_are_a_stump_where_the_context_is_full() -> None:
    thought = _answer(2500, 1596, text="")

    assert stump_of(thought, ["hi"], 512, Traits(context=4096, reasoning=True)) is not None
    assert stump_of(thought, ["hi"], 512, Traits(context=32768, reasoning=True)) is None


def test_thoughts_that_used_up_their_allowance_are_no_stump() -> None:
    assert stump_of(_answer(2000, 2560, text=""), ["hi"], 512, Traits(reasoning=True)) is None


def test_without_counts_our_estimate_tells() -> None:
    long = ["word " * 4000]

    assert stump_of(_answer(0, 0), long, 512, Traits()) is not None
    assert stump_of(_answer(0, 0), ["hi"], 512, Traits()) is None
    assert stump_of(_answer(0, 0), long, 512, Traits(reasoning=True)) is None


def test_only_an_answer_that_says_length_is_one() -> None:
    assert stump_of(_answer(4095, 1, finish="stop"), ["hi"], 512, Traits(context=4096)) is None
