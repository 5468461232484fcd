"""Long messages keep their beginning, their end and their order."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.long_text import joined, without_middle

_MINUTES = "The minutes say that the harbour will be dredged in spring. "
_NOTICE = re.compile(r"\n\[\.\.\. ([\d,]+) characters left out \.\.\.\]\n")
#: A message that begins and ends with words of its own.
_MESSAGES = st.builds(
    lambda first, last, middle, times: f"a{first} {middle * times} z{last}",
    st.integers(0, 999),
    st.integers(0, 999),
    st.sampled_from(["word ", "line\n", "x", "今日は", "é\u0301", "two words, "]),
    st.integers(0, 4_000),
)


def test_the_question_behind_a_long_text_stays() -> None:
    kept = without_middle(_MINUTES * 200 + "\n\nIn one line: when will it be dredged?", 8000)

    assert kept.startswith("The minutes say")
    assert kept.endswith("\n\nIn one line: when will it be dredged?")
    assert len(kept) <= 8000
    assert len(_NOTICE.findall(kept)) == 1


def test_the_order_before_a_long_text_stays() -> None:
    kept = joined(["Translate this into Dutch:", _MINUTES * 150, _MINUTES * 150, "and keep the tone"], 8000)

    assert kept.startswith("Translate this into Dutch:\nThe minutes say")
    assert kept.endswith("\nand keep the tone")
    assert len(_NOTICE.findall(kept)) == 2


def test_the_notice_says_how_much_is_missing() -> None:
    text = " ".join(f"word{n}" for n in range(5_000))
    kept = without_middle(text, 8000)
    found = _NOTICE.search(kept)
    assert found is not None

    assert len(kept) - len(found[0]) + int(found[1].replace(",", "")) == pytest.approx(len(text), abs=3)


def test_a_text_is_cut_between_lines_or_words() -> None:
    lines = "\n".join(f"line {n} of the list" for n in range(2_000))
    head, _, tail = _NOTICE.split(without_middle(lines, 8000))

    assert lines.startswith(head + "\n")
    assert lines.endswith("\n" + tail)
    assert {*without_middle("word " * 5_000, 8000).split()} <= {"word", "[...", "characters", "left", "out", "...]"} | set(
        re.findall(r"[\d,]+", without_middle("word " * 5_000, 8000))
    )


def test_of_a_flood_of_small_messages_the_first_and_the_last_stay() -> None:
    kept = joined(["Sort these:", *(f"item {n}" for n in range(3_000)), "by size"], 8000)

    assert kept.startswith("Sort these:\nitem 0\n")
    assert kept.endswith("\nitem 2999\nby size")
    assert len(kept) <= 8000


def test_what_fits_is_not_touched() -> None:
    assert joined(["a", " b ", "", "c"], 8000) == "a\n b \n\nc"


@given(st.lists(_MESSAGES, min_size=1, max_size=12), st.integers(5_000, 9_000))
def test_joined_messages_fit_and_keep_their_ends_and_their_order(messages: list[str], room: int) -> None:
    kept = joined(messages, room)

    assert len(kept) <= room
    assert kept.startswith(messages[0].split()[0])
    assert kept.endswith(messages[-1].split()[-1])
    at = 0
    for message in messages:
        for word in (message.split()[0], message.split()[-1]):
            at = kept.index(word, at) + len(word)


@given(st.text(), st.integers(100, 400))
def test_any_text_fits(text: str, room: int) -> None:
    assert len(without_middle(text, room)) <= room
    assert len(joined([text, text * 3, "end"], room)) <= room


@given(st.lists(st.integers(0, 9_000), min_size=1, max_size=8))
def test_a_short_message_stays_whole_beside_long_ones(lengths: list[int]) -> None:
    messages = [f"{n}" + "x" * length for n, length in enumerate(lengths)]
    kept = joined(messages, 8000).split("\n")

    # A share is never smaller than that of equal parts.
    assert all(message in kept for message in messages if len(message) <= (8000 - len(messages)) // len(messages))
