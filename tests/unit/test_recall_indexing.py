"""How a turn is indexed: configurations, pairs where there are no words, and what else it is known by."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.recall.indexing import config_of, episode, indexed, passage


@pytest.mark.parametrize(
    ("text", "language", "config"),
    [
        ("the boiler", "en", "english"),
        ("la caldera", "es", "spanish"),
        ("मेरा कुत्ता", "hi", "hindi"),
        ("mera kutta bahut accha hai", "hi", "simple"),
        ("عندي كلب", "ar", "arabic"),
        ("3andi kalb", "ar", "simple"),
        ("min hund", "sv", "swedish"),
        ("Tôi bị dị ứng", "", "simple"),
        ("mi perro", "", "simple"),
        ("xyz", "xx", "simple"),
    ],
)
def test_each_language_has_its_stems(text: str, language: str, config: str) -> None:
    assert config_of(text, language) == config


def test_scripts_without_spaces_are_indexed_by_pairs_and_the_rest_as_it_is() -> None:
    assert indexed("see 花生 and 我住在") == "see  x82b1751f  and  x62114f4f x4f4f5728 "
    assert indexed("猫") == " x732b "
    assert indexed("plain words") == "plain words"


def test_vietnamese_is_indexed_by_syllables_and_by_pairs_of_them() -> None:
    words = indexed("dị ứng").split()

    assert words[:2] == ["dị", "ứng"]
    assert len(words) == 3


def test_a_turn_knows_whether_it_asks_when_it_speaks_of_and_who_speaks() -> None:
    told = episode("Last week I started at the bakery on Monday", "Congratulations?", language="en")
    asks = episode("Is the bakery open?", "Yes, since 1999.", language="en")
    ours = episode("", "I will remind you tomorrow", language="en")

    assert (told.asks, told.time_words >= 2, told.first_person) == (False, True, True)
    assert (asks.asks, asks.first_person) == (True, False)
    assert (ours.asked, ours.time_words, ours.first_person) == ("", 1, True)


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("Where is my tent?", True),
        ("Where is my tent? 🙂", True),
        ("Where is my tent? Thanks, Ana", True),
        ("帐篷在哪里？谢谢", True),
        ("أين خيمتي؟ شكرا", True),
        ("Where is my tent", False),
        ("Where was it? I found my tent behind the shed", False),
        ("The tent is behind the shed", False),
        ("", False),
    ],
)
def test_a_turn_asks_though_a_word_of_thanks_follows(text: str, *, asks: bool) -> None:
    assert episode(text, "I see.", language="en").asks is asks


def test_what_is_embedded_has_both_sides() -> None:
    assert passage("one", "two") == "one\ntwo"
    assert passage("", "two") == "two"


@given(st.text(max_size=400), st.text(max_size=400), st.sampled_from(["en", "hi", "ar", "ja", ""]))
def test_any_turn_can_be_indexed(asked: str, answer: str, language: str) -> None:
    made = episode(asked, answer, language=language)

    assert made.config
    assert 0 <= made.time_words <= 9
