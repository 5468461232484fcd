"""What is remembered is told to the person, in the language in which the conversation began, as quoted data."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.extract.gate import KINDS
from bots.storage.claims import KnownFact
from workers.turn import told

_FOLDER = Path(told.__file__).parent
_LANGUAGES = tomllib.loads((_FOLDER / "told.toml").read_text("utf-8"))
_CORPUS = tomllib.loads((Path(__file__).parents[1] / "corpus" / "statements.toml").read_text("utf-8"))


def a_fact(kind: str = "name", text: str = "Marta") -> KnownFact:
    return KnownFact(id=uuid4(), kind=kind, text=text)


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("name", 'Your name is "Marta"'),
        ("place", 'You live in "Marta"'),
        ("likes", 'You like "Marta"'),
        ("dislikes", 'You do not like "Marta"'),
        ("pet", 'Your pet: "Marta"'),
        ("shoe size", 'shoe size: "Marta"'),
    ],
)
def test_a_fact_is_told_to_its_person_as_a_quoted_value(kind: str, line: str) -> None:
    assert line == told.fact_line(kind, "Marta", language="en")


@pytest.mark.parametrize("language", _LANGUAGES)
def test_every_language_has_words_for_every_kind_of_fact(language: str) -> None:
    words = _LANGUAGES[language]

    assert set(words) == set(_LANGUAGES["en"])
    assert set(words["facts"]) == set(words["questions"]) == set(_LANGUAGES["en"]["facts"])
    assert set(KINDS) <= set(words["facts"])
    assert all("{}" in line for line in (*words["facts"].values(), words["notes"], words["other"]))


@given(st.text())
def test_no_value_can_close_its_quotes(text: str) -> None:
    line = told.fact_line("name", text, language="en")

    value = json.loads(line.removeprefix("Your name is "))
    assert value == told.neutralise(text)


@given(st.text(), st.sampled_from(list(_LANGUAGES)))
def test_a_value_never_fills_another_place(text: str, language: str) -> None:
    line = told.fact_line("{kind} {}", text, language=language)

    assert json.dumps(told.neutralise(text), ensure_ascii=False) in line


def test_where_nothing_is_known_nothing_is_told() -> None:
    assert told.exchange([], None, language="en") == ()


def test_notes_stand_with_the_question_and_facts_in_the_answer() -> None:
    asked, answered, *_ = told.exchange([a_fact(), a_fact("place", "Porto")], "They spoke of maps.", language="pt")

    assert (asked.role, answered.role) == ("user", "assistant")
    assert 'Você se chama "Marta". Você mora em "Porto".' in answered.content
    assert '"They spoke of maps."' in asked.content
    assert "maps" not in answered.content


def test_two_facts_are_also_told_in_answer_to_their_own_question() -> None:
    facts = [a_fact(), a_fact("shoe size", "38"), a_fact("place", "Porto"), a_fact("likes", "tea")]

    _, answered, *shown = told.exchange(facts, None, language="en")

    assert [message.role for message in shown] == ["user", "assistant"] * 2
    texts = [message.content for message in shown]
    assert texts == ["What is my name?", 'Your name is "Marta".', "Where do I live?", 'You live in "Porto".']
    assert 'shoe size: "38". ' in answered.content
    assert 'You like "tea".' in answered.content


def test_notes_are_told_without_facts_too() -> None:
    asked, answered = told.exchange([], 'x" (', language="en")

    assert asked.content.startswith('(what we spoke about before: "x\\" (")')
    assert answered.content == "I am an AI assistant, not a person. I know nothing else about you."


def test_an_unknown_language_is_told_in_english() -> None:
    assert told.exchange([a_fact()], None, language="xx") == told.exchange([a_fact()], None, language="en")


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("What am I allergic to?", "en"),
        ("Good evening", "en"),
        ("¿Dónde vivo?", "es"),
        ("Hola", "es"),
        ("Onde eu moro?", "pt"),
        ("Camarões, posso?", "pt"),
        ("Comment je m\u2019appelle ?", "fr"),
        ("BONJOUR", "fr"),
        ("Wie heiße ich?", "de"),
        ("Kannst du mir helfen?", "de"),
        ("Dove abito?", "it"),
        ("", ""),
        ("ok", ""),
        ("Toro", ""),
        ("こんにちは", ""),
        ("Merhaba, nasılsın?", ""),
    ],
)
def test_a_text_shows_its_language_by_its_frequent_words(text: str, language: str) -> None:
    assert language_in(text) == language


def test_hardly_a_statement_of_the_corpus_is_taken_for_another_language() -> None:
    """The statements are English, Spanish and Portuguese; some hold a word of another."""
    said = [language_in(row[0]) for row in _CORPUS["plain"]]

    assert sum(language in {"fr", "de", "it"} for language in said) <= len(said) // 50
    assert sum(language == "" for language in said) <= len(said) // 10
