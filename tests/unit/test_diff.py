"""What a comparison of two wordings tells makes up both of them, word for word."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from bots.admin.bots.diff import Piece, compare

_TEXTS = st.text(alphabet="ab \n.é", max_size=60)


@given(_TEXTS, _TEXTS)
def test_what_stayed_and_came_is_the_new_wording_and_what_stayed_and_went_the_old(old: str, new: str) -> None:
    pieces = compare(old, new)

    assert "".join(piece.text for piece in pieces if piece.kind != "ins") == old
    assert "".join(piece.text for piece in pieces if piece.kind != "del") == new


def test_a_reworded_line_shows_the_words_and_not_the_line() -> None:
    pieces = compare("You are kind.\nYou answer briefly.\n", "You are kind.\nYou answer politely.\n")

    assert pieces == [
        Piece("same", "You are kind.\nYou answer "),
        Piece("del", "briefly"),
        Piece("ins", "politely"),
        Piece("same", ".\n"),
    ]


def test_the_longest_wordings_are_compared_in_no_time() -> None:
    began = time.process_time()
    compare("a\n" * 10_000, "\n" * 20_000)
    compare("a b " * 5_000, "b a " * 5_000)
    compare("\n".join(f"line {n} of it" for n in range(1_300)), "\n".join(f"line {n} of that" for n in range(1_300)))

    assert time.process_time() - began < 3.0
