"""Texts in parts by bytes: none too long, no word lost, no letter cut."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.channels.markup import split, split_bytes, to_plain

LETTERS = st.sampled_from([*"ab .\n`", "é", "漢", "👍", "👨‍👩‍👧", "🇪🇸", "e\u0301", "```", "\n\n"])


@given(st.lists(LETTERS, max_size=400).map("".join), st.integers(64, 200))
def test_no_part_is_longer_than_the_limit_and_no_letter_is_lost(text: str, limit: int) -> None:
    parts = split_bytes(text, limit)

    assert all(0 < len(part.encode()) <= limit for part in parts)
    assert re.findall(r"[abé漢👍]", text) == re.findall(r"[abé漢👍]", "".join(parts))


@given(st.lists(st.sampled_from([*"ab .\n"]), max_size=600).map("".join), st.integers(40, 200))
def test_plain_letters_are_cut_where_characters_would_be(text: str, limit: int) -> None:
    assert split_bytes(text, limit) == split(text, limit)


@pytest.mark.parametrize("sign", ["👨‍👩‍👧", "🇪🇸", "e\u0301", "漢", "👍🏽"])
def test_a_run_of_signs_is_cut_between_them_and_never_inside(sign: str) -> None:
    parts = split_bytes(sign * 200, 100)

    assert "".join(parts) == sign * 200
    assert all(part.replace(sign, "") == "" for part in parts)


def test_a_code_block_is_closed_and_opened_again_within_the_limit() -> None:
    parts = split_bytes("```\n" + "ñandú\n" * 60 + "```", 100)

    assert all(part.count("```") == 2 and len(part.encode()) <= 100 for part in parts)


def test_a_long_answer_is_cut_at_its_sentences() -> None:
    parts = split_bytes("Él dijo que sí. " * 20, 100)

    assert all(part.endswith("sí.") for part in parts)


def test_plain_text_has_dots_for_items_and_marks_around_a_quote() -> None:
    assert to_plain("- a\n- b\n  - c\n\n> said\n> so") == '• a\n• b\n  ◦ c\n\n"said\nso"'
