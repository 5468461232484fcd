"""A text shows its language by its script, or by its frequent words; where it does not, none is guessed."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.text_language import language_in

_CORPUS = Path(__file__).parents[1] / "corpus"
_TEXTS: dict[str, list[str]] = tomllib.loads((_CORPUS / "languages.toml").read_text("utf-8"))["texts"]
_STATEMENTS = tomllib.loads((_CORPUS / "statements.toml").read_text("utf-8"))


@pytest.mark.parametrize("language", _TEXTS)
def test_nineteen_of_twenty_short_texts_show_their_language_and_none_another(language: str) -> None:
    found = [language_in(text) for text in _TEXTS[language]]

    assert found.count(language) >= len(found) * 0.95
    assert set(found) <= {language, ""}


@pytest.mark.parametrize("language", ["en", "es", "pt", "fr", "de", "it", "hi", "ar", "id", "tr"])
def test_the_table_has_twenty_texts_of_each_language(language: str) -> None:
    assert len(set(_TEXTS[language])) == 20


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Comment je m\u2019appelle ?", "fr"),
        ("BONJOUR", "fr"),
        ("Camarões, posso?", "pt"),
        ("日本語の本を探しています", "ja"),
        ("한국 漢字 시험", "ko"),
        ("I met Мария in the town", "en"),
        ("मेरा order नहीं आया", "hi"),
    ],
)
def test_most_of_a_text_decides(text: str, language: str) -> None:
    assert language_in(text) == language


def test_hardly_a_statement_of_the_corpus_is_taken_for_another_language() -> None:
    """The statements are English, Spanish and Portuguese; some hold a word of another."""
    said = [language_in(row[0]) for row in _STATEMENTS["plain"]]

    assert sum(language not in {"en", "es", "pt", ""} for language in said) <= len(said) // 50
    assert sum(language == "" for language in said) <= len(said) // 10


@given(st.text())
def test_any_text_has_one_language_or_none(text: str) -> None:
    assert len(language_in(text)) in {0, 2}
