"""The service says everything itself in ten languages: each text in each of them, and what it quotes to be written back is understood."""

from __future__ import annotations

import re
import string
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from bots.commands import parse_command
from bots.domain import Memory
from bots.extract import commands
from bots.extract.texts import day_text, fact_text, files, of, text
from bots.kinds import kinds

_WHEN = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
_SOURCE = UUID(int=1)
_LANGUAGES = sorted(files())
#: Phrases to be written back, by the text that names them, and what they are understood as.
_QUOTED = {"memory_off": "memory_on", "health_off": "health_on", "sensitive": "health_off"}


def a_memory(kind: str, value: str, *, day: date | None = None, last_day: date | None = None, source: UUID | None = _SOURCE) -> Memory:
    """A memory of a message; without a source, one that an operator added."""
    return Memory(id=uuid4(), kind=kind, text=value, source_inbox_id=source, said_at=_WHEN, created_at=_WHEN, day=day, last_day=last_day)


def _shape(table: Any) -> Any:
    """The names of all texts, and what is filled into each."""
    if isinstance(table, dict):
        return {name: _shape(one) for name, one in table.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(table, list):
        return len(table)  # pyright: ignore[reportUnknownArgumentType]
    return sorted(name for _, name, _, _ in string.Formatter().parse(table) if name is not None)


def test_there_are_ten() -> None:
    assert _LANGUAGES == ["ar", "de", "en", "es", "fr", "hi", "id", "it", "pt", "tr"]


@pytest.mark.parametrize("language", _LANGUAGES)
def test_every_text_exists_in_every_language_with_the_same_gaps(language: str) -> None:
    assert _shape(files()[language]) == _shape(files()["en"])
    assert set(files()[language]["facts"]) == set(kinds())
    assert len(files()[language]["months"]) == 12


@pytest.mark.parametrize("language", _LANGUAGES)
def test_no_language_repeats_the_english(language: str) -> None:
    long = {name for name, one in files()["en"].items() if isinstance(one, str) and len(one) > 40}

    assert language == "en" or not [name for name in long if files()[language][name] == files()["en"][name]]
    assert all(len(text(name, language, count=2, what="x", facts="x", values="x", fact="x", when="x", source="x")) < 1000 for name in long)


@pytest.mark.parametrize("language", _LANGUAGES)
def test_what_a_text_says_to_write_back_is_understood(language: str) -> None:
    texts = files()[language]
    for name, meant in _QUOTED.items():
        (phrase,) = re.findall(r'"([^"]+)"', texts[name])
        command = parse_command(phrase)
        assert command is not None, phrase
        assert command.name == meant, phrase
    *_, asks, place, everything = re.findall(r'"([^"]+)"', texts["help"])
    understood = [parse_command(phrase) for phrase in (asks, place, everything)]
    assert [one and one.name for one in understood] == ["memory", "forget", "forget"]
    assert understood[1] is not None
    assert [named.kind for named in understood[1].kinds] == ["place"]
    assert understood[2] is not None
    assert understood[2].is_everything


@pytest.mark.parametrize("language", _LANGUAGES)
def test_every_command_that_a_text_names_is_one(language: str) -> None:
    for name, one in files()[language].items():
        if not isinstance(one, str):
            continue
        for line in one.splitlines():
            for word in re.findall(r"(?<![\w/])(/[^\W\d_][^\s,.:;!?()«»\"،؟]*)", line):
                command = parse_command(word)
                assert command is not None, (name, word)


@pytest.mark.parametrize("language", [*_LANGUAGES, "pt-BR", "xx", ""])
def test_the_list_is_numbered_and_grouped_by_kind_with_the_days_of_plans(language: str) -> None:
    memories = [
        a_memory("likes", "{tea}"),
        a_memory("plan", "trip to Rome", day=date(2026, 12, 5), last_day=date(2026, 12, 9)),
        a_memory("name", "Marta"),
        a_memory("plan", "dentist", day=date(2026, 12, 1)),
        a_memory("unknown", "a fact of a kind that is gone"),
    ]
    _, *rows, end = commands.memory_text(commands.in_order(memories), language).splitlines()

    assert [row.split(". ")[0] for row in rows] == ["1", "2", "3", "4", "5"]
    assert [
        value for row, value in zip(rows, ("Marta", "trip to Rome", "dentist", "{tea}", "a fact"), strict=True) if value not in row
    ] == []
    assert day_text(date(2026, 12, 5), language) in rows[1]
    assert day_text(date(2026, 12, 9), language) in rows[1]
    assert "/" in end
    assert len(commands.memory_text([], language)) > 10


@pytest.mark.parametrize("language", _LANGUAGES)
def test_an_answer_to_a_wish_to_forget_says_what_became_of_it(language: str) -> None:
    none, one, two = (commands.forgotten_text(count, language) for count in (0, 1, 2))
    kept = commands.forgotten_text(2, language, keeps_messages=True)
    everything = commands.forgotten_text(7, language, everything=True)

    assert len({none, one, two, kept, everything, commands.forgotten_text(7, language, everything=True, keeps_messages=True)}) == 6
    assert "2" in two
    assert of(language)["words_gone"] in two
    assert of(language)["words_kept"] in kept
    assert of(language)["words_gone"] not in kept
    assert commands.forgotten_that_text(language) != commands.forgotten_that_text(language, found=False)


def test_why_tells_each_cause_with_its_words_and_day() -> None:
    said = commands.Cause(memory=a_memory("name", "Marta"), source="My name is\nMarta {x}", said_at=_WHEN)
    gone = commands.Cause(memory=a_memory("pet", "dog Rex"), source="", said_at=_WHEN)
    added = commands.Cause(memory=a_memory("place", "Porto", source=None), source="", said_at=_WHEN)
    turn = commands.Cause(memory=None, source="x" * 900, said_at=_WHEN)

    rows = commands.why_text([said, gone, added, turn], "en").splitlines()[1:]

    assert rows[0] == '1. your name is Marta - you wrote on 24 November 2026: "My name is Marta {x}"'
    assert rows[1] == "2. your pet: dog Rex - you wrote it on 24 November 2026"
    assert rows[2] == "3. you live in Porto - noted on 24 November 2026 by the people who run this service"
    assert len(rows[3]) < 300
    assert commands.why_text([], "en") == of("en")["why_none"]


def test_a_correction_is_answered_by_what_it_changed() -> None:
    assert commands.noted_text([a_memory("place", "Porto")], ["Lyon"], "en") == "Noted: you live in Porto. I no longer have: Lyon."
    assert commands.noted_text([a_memory("place", "{x}")], [], "fr") == "C'est noté : vous habitez à {x}."
    assert commands.noted_text([], ["Lyon"], "de") == "Nicht mehr gespeichert: Lyon."


def test_a_day_is_written_as_the_language_does() -> None:
    said = {language: day_text(date(2026, 3, 1), language) for language in _LANGUAGES}

    assert said["en"] == "1 March 2026"
    assert said["de"] == "1. März 2026"
    assert said["es"] == "1 de marzo de 2026"
    assert len(set(said.values())) == len(said)


def test_an_unknown_kind_or_language_is_still_told() -> None:
    assert fact_text("shoe_size", "42", "xx") == "42"
    assert text("started", "pt-BR") == text("started", "pt")
    assert commands.content_text("unsupported", "poll", "it") == commands.content_text("unsupported", "other", "it")
