"""How likely a message is followed by another one, in ten languages."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from bots.domain import EventKind, InboundEvent
from bots.extract.unfinished import Waits, expecting, waits

_CORPUS = Path(__file__).parents[1] / "corpus" / "pieces"
_WAITS: dict[str, Any] = tomllib.loads((_CORPUS / "waits.toml").read_text("utf-8"))
_LONE: list[str] = tomllib.loads((_CORPUS / "lone.toml").read_text("utf-8"))["messages"]


def _rows(kind: str) -> list[tuple[str, str]]:
    return [(language, message) for language, lists in _WAITS.items() for message in lists[kind]]


def test_there_are_rows_in_ten_languages() -> None:
    assert len(_WAITS) == 10
    assert all(len(lists[kind]) >= 3 for lists in _WAITS.values() for kind in ("open", "ended", "states", "asks", "answers"))


@pytest.mark.parametrize(("language", "message"), _rows("open"))
def test_more_is_likely_after_a_beginning(language: str, message: str) -> None:
    assert min(waits(message)) == 3


@pytest.mark.parametrize(("language", "message"), _rows("ended"))
def test_nobody_waits_after_a_whole_question_or_wish(language: str, message: str) -> None:
    assert waits(message) == Waits(0, 0, 0)


@pytest.mark.parametrize(("language", "message"), _rows("states") + _rows("wishes"))
def test_a_statement_or_a_short_wish_is_a_beginning_unless_it_is_an_answer(language: str, message: str) -> None:
    assert waits(message)[:2] == (3, 0)


@pytest.mark.parametrize(("language", "message"), _rows("asks"))
def test_a_question_without_its_mark_is_whole_if_its_writer_never_makes_one(language: str, message: str) -> None:
    assert waits(message) == Waits(1, 0, 0)


@pytest.mark.parametrize(("language", "message"), _rows("answers"))
def test_a_short_answer_waits_only_where_nothing_was_asked(language: str, message: str) -> None:
    assert waits(message)[:2] == (1, 0)


def test_half_of_the_lone_messages_at_least_wait_for_nothing() -> None:
    assert sorted(waits(message).alone for message in _LONE)[len(_LONE) * 2 // 3] == 0


@pytest.mark.parametrize(
    ("content_type", "expected"), [("image", 3), ("video", 3), ("document", 3), ("sticker", 1), ("location", 1), ("audio", 1)]
)
def test_a_picture_or_a_file_without_words_is_a_beginning(content_type: str, expected: int) -> None:
    assert set(waits(None, content_type)) == {expected}


def test_words_with_a_picture_count_like_others() -> None:
    assert waits("Is this the right one?", "image") == Waits(0, 0, 0)


@pytest.mark.parametrize(
    "text", ["a" * 100_000, "? " * 50_000, "and " * 50_000, "." * 100_000, "\u0301" * 10_000, "👍" * 5_000, "\n\n", " ", "-", "/"]
)
def test_any_text_has_an_answer_in_a_short_time(text: str) -> None:
    assert all(0 <= wait <= 3 for wait in waits(text))


def test_only_messages_get_a_wait_and_a_button_or_a_command_needs_none() -> None:
    message = InboundEvent(kind=EventKind.MESSAGE, event_key="1", text="Hi")
    command = InboundEvent(kind=EventKind.MESSAGE, event_key="2", text="/help", reply_at_once=True)
    status = InboundEvent(kind=EventKind.STATUS, event_key="3")

    found = expecting([message, command, status])

    assert [event.waits for event in found] == [Waits(3, 3, 3), None, None]
