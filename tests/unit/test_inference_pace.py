"""How many tokens a piece of an answer has: as many as come well within the silence that counts as the engine's end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.client.pace import Pace
from inference.types import Answer, Usage


def _answer(*, tokens: int, seconds: float, estimated: bool = False) -> Answer:
    usage = Usage(tokens_in=10, tokens_out=tokens, estimated=estimated)
    return Answer(text="...", usage=usage, first_token_ms=500.0, total_ms=500.0 + seconds * 1000)


def _piece(*answers: Answer, silence_s: float = 10.0) -> int:
    pace = Pace(silence_s=silence_s)
    for answer in answers:
        pace.took(answer)
    return pace.piece


def test_until_a_pace_is_known_each_token_comes_by_itself() -> None:
    assert _piece() == 1


@pytest.mark.parametrize(
    ("answer", "silence_s", "piece"),
    [
        # A CPU with many talks at once, a CPU with one, a GPU, a fast one.
        (_answer(tokens=101, seconds=50), 10, 1),
        (_answer(tokens=101, seconds=5), 10, 10),
        (_answer(tokens=101, seconds=2), 10, 25),
        (_answer(tokens=101, seconds=0.5), 10, 32),
        # Where more patience is set, pieces may be further apart.
        (_answer(tokens=101, seconds=50), 30, 3),
    ],
)
def test_a_piece_is_what_a_server_writes_in_a_twentieth_of_the_silence(answer: Answer, silence_s: float, piece: int) -> None:
    assert _piece(answer, silence_s=silence_s) == piece


def test_the_last_answer_counts() -> None:
    assert _piece(_answer(tokens=101, seconds=2), _answer(tokens=101, seconds=100)) == 1


@pytest.mark.parametrize(
    "answer",
    [
        _answer(tokens=3, seconds=0.01),
        _answer(tokens=0, seconds=1),
        _answer(tokens=101, seconds=0),
        _answer(tokens=101, seconds=2, estimated=True),
    ],
)
def test_what_tells_nothing_of_the_pace_changes_nothing(answer: Answer) -> None:
    assert _piece(answer) == 1
    assert _piece(_answer(tokens=101, seconds=5), answer) == 10


@given(tokens=st.integers(0, 10_000), seconds=st.floats(0, 1000), silence_s=st.floats(0.01, 600))
def test_pieces_at_the_known_pace_are_never_further_apart_than_a_tenth_of_the_silence(
    tokens: int, seconds: float, silence_s: float
) -> None:
    piece = _piece(_answer(tokens=tokens, seconds=seconds), silence_s=silence_s)

    assert 1 <= piece <= 32
    if piece > 1:
        assert piece * seconds / (tokens - 1) <= silence_s / 10
