"""Notes of older turns: portions of whole turns, and an end at a whole sentence."""

from __future__ import annotations

import pytest

from bots.storage.claims import PastTurn
from workers.summarise import _portion, shortened


def _turns(*sizes: int) -> list[PastTurn]:
    return [PastTurn(number=number, asked="a" * size, answer="") for number, size in enumerate(sizes, start=1)]


@pytest.mark.parametrize(("sizes", "taken"), [((), 0), ((10,), 1), ((40, 40, 40), 2), ((100,), 1), ((500, 10), 1), ((10, 500, 10), 1)])
def test_a_portion_is_as_many_whole_turns_as_there_is_room_for_and_one_at_least(sizes: tuple[int, ...], taken: int) -> None:
    assert len(_portion(_turns(*sizes), 100, len)) == taken


@pytest.mark.parametrize(
    ("text", "whole", "notes"),
    [
        ("Ada wants\n a cake.", True, "Ada wants a cake."),
        ("No end at all", True, "No end at all"),
        ("Ada wants a cake. It costs 30. She will fetch", False, "Ada wants a cake. It costs 30."),
        ("अदा केक। वह", False, "अदा केक।"),
        ("Ada wants a ca", False, ""),
    ],
)
def test_notes_that_broke_off_end_at_a_whole_sentence(text: str, whole: bool, notes: str) -> None:
    assert shortened(text, is_whole=whole) == notes


def test_notes_that_are_too_long_end_at_a_whole_sentence() -> None:
    notes = shortened("Ada wants a cake. " * 200)

    assert len(notes) <= 1500
    assert notes.endswith("cake.")
