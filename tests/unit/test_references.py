"""What counts as a person's words, and what only stands beside them as data."""

from __future__ import annotations

import pytest

from bots.channels.references import pressed, refer
from bots.commands import is_command


@pytest.mark.parametrize(
    "identifier",
    [
        "GET_STARTED",
        "get_started",
        "getStarted",
        "GetStarted",
        "GETSTARTED",
        "Get-Started",
        "<GET_STARTED_PAYLOAD>",
        "FACEBOOK_WELCOME",
        "DEVELOPER_DEFINED_PAYLOAD",
        '{"step": 2}',
        "[1, 2]",
        "buy:17",
        "menu.main",
        "sku-3",
        "col-1",
        "action=buy&id=4",
        "https://shop.example/buy",
        "0b8f7f3e-5f0e-4c3a-9a55-0f4f6e1b2c3d",
        "4711",
        "10:00",
        "PAGO_ÉXITO",
        "Уровень2",
    ],
)
def test_an_id_is_nobodys_words(identifier: str) -> None:
    assert pressed(None, identifier) == (None, (("button", identifier),))


@pytest.mark.parametrize("identifier", ["GET_STARTED", "MAIN_MENU", '{"step": 2}', "<GET_STARTED_PAYLOAD>"])
def test_an_id_in_the_place_of_a_title_is_nobodys_words(identifier: str) -> None:
    assert pressed(identifier, identifier).text is None


@pytest.mark.parametrize(
    "words",
    [
        "Yes",
        "STOP",
        "When are you open?",
        "Table for 2 people",
        "¿Cuánto cuesta?",
        "ja, bitte",
        "営業時間",
        "check-in",
        "साढ़े",
        "👍",
        "Don't know",
    ],
)
def test_an_id_that_reads_as_words_is_what_was_said(words: str) -> None:
    assert pressed(None, words) == (words, (("button", words),))


@pytest.mark.parametrize("title", ["Get Started", "Size 42", "4711", "v2.0", "snake_case explained"])
def test_a_title_is_what_was_said_whatever_it_looks_like(title: str) -> None:
    assert pressed(title, "ID_1") == (title, (("button", "ID_1"),))


@pytest.mark.parametrize("title", ["10:00", "4711", "iPhone", "Get Started", "3-4 people", "2026-12-01"])
def test_a_title_that_is_its_own_id_is_what_was_said(title: str) -> None:
    assert pressed(title, title).text == title


def test_a_press_of_nothing_is_nothing() -> None:
    assert pressed(None, None) == (None, ())


def test_few_references_are_kept() -> None:
    assert len(refer(*(("form", str(n)) for n in range(100)))) < 30


@pytest.mark.parametrize("text", ["/stop", " /stop ", "\u200e/stop", "\u2068/stop\u2069", "\ufeff/stop", "/stop please", "/stop."])
def test_a_command_is_seen_behind_space_and_invisible_marks(text: str) -> None:
    assert is_command(text)


@pytest.mark.parametrize("text", [None, "", "stops", "and/or", "a /stop", "/" + "x" * 80])
def test_other_texts_are_no_commands(text: str | None) -> None:
    assert not is_command(text)
