"""A like is told where the message has a word of it, in another form too, or asks what is liked."""

from __future__ import annotations

from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.storage.turns import NewFact
from workers.turn.relevance import fitting


def fits(language: str, value: str, said: str, *, kind: str = "likes") -> bool:
    return bool(fitting([NewFact(kind=kind, text=value, source=uuid4())], said, language=language))


@pytest.mark.parametrize(
    ("language", "value", "said"),
    [
        ("en", "oat biscuits", "Which biscuit should I buy?"),
        ("en", "Jazz", "is there any jazz tonight"),
        ("en", "long walks", "Where can I walk on Sunday?"),
        ("es", "las películas de miedo", "¿Qué pelicula echan?"),
        ("pt", "bolo de cenoura", "onde compro cenouras?"),
        ("de", "Äpfel", "Ein Rezept mit Apfel?"),
        ("it", "gelato", "Dove trovo un gelato?"),
        ("tr", "kahve", "Kahveyi nereden alırım?"),
        ("id", "kopi", "beli kopi di mana?"),
        ("hi", "चाय", "चाय कहाँ मिलेगी?"),
        ("ar", "القهوة", "أين أجد قهوة جيدة؟"),
        ("zh", "茶", "我想喝茶"),
    ],
)
def test_a_message_with_a_word_of_a_fact_is_about_it(language: str, value: str, said: str) -> None:
    assert fits(language, value, said)


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "What do I like?"),
        ("es", "¿Qué me gusta?"),
        ("pt", "Do que eu gosto?"),
        ("fr", "Qu'est-ce que j'aime ?"),
        ("de", "Was mag ich?"),
        ("it", "Cosa mi piace?"),
        ("hi", "मुझे क्या पसंद है?"),
        ("ar", "ماذا أحب؟"),
        ("id", "Aku suka apa?"),
        ("tr", "Neyi severim?"),
    ],
)
def test_a_message_that_asks_for_a_kind_is_about_all_of_it(language: str, said: str) -> None:
    assert fits(language, "xyzzy", said)
    assert not fits(language, "xyzzy", said, kind="pet")


@pytest.mark.parametrize(
    ("language", "value", "said"),
    [
        ("en", "tea", "My team lost"),
        ("en", "jazz", "Good evening!"),
        ("en", "the sea", "What is the time?"),
        ("es", "el mar", "Hola, ¿qué tal?"),
        ("de", "Musik von Bach", "Was kostet das von gestern?"),
        ("fr", "la mer", "Bonjour, vous allez bien ?"),
        ("zh", "茶", "你好"),
    ],
)
def test_small_talk_and_words_that_every_text_has_are_about_nothing(language: str, value: str, said: str) -> None:
    assert not fits(language, value, said)


@given(st.text(max_size=300), st.text(max_size=300))
def test_any_texts_can_be_compared(value: str, said: str) -> None:
    assert fits("en", value, said) in {True, False}
