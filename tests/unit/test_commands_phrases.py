"""What people say about their memory is understood in every language before any model; what only sounds like it is left to the model."""

from __future__ import annotations

import time
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.commands import is_command, keeps_out, objection, parse_command
from bots.phrases.book import Node, book, tables

_SAID = {
    path.stem: tomllib.loads(path.read_text("utf-8")) for path in sorted((Path(__file__).parents[1] / "corpus" / "phrases").glob("*.toml"))
}
_LANGUAGES = ("ar", "de", "en", "es", "fr", "hi", "id", "it", "pt", "tr")
_OTHER = ("model", "wrong", "everything")
_CASES = [
    (language, meant, text) for language, table in _SAID.items() for meant, texts in table.items() if meant not in _OTHER for text in texts
]


def _understood(text: str) -> str:
    """What a text is taken for, as the tables name it."""
    command = parse_command(text)
    if command is None:
        return "model"
    if command.name != "forget":
        return command.name
    if command.is_everything:
        return "everything"
    (named,) = command.kinds
    return f"forget_{named.word or named.kind}"


def test_the_tables_are_in_all_languages_and_large_enough() -> None:
    assert tuple(_SAID) == _LANGUAGES == tuple(sorted(tables()))
    for table in _SAID.values():
        assert sum(len(texts) for meant, texts in table.items() if meant != "model") >= 40
        assert len(table["model"]) >= 12


@pytest.mark.parametrize(("language", "meant", "text"), _CASES)
def test_plain_words_about_memory_are_understood(language: str, meant: str, text: str) -> None:
    assert _understood(text) == meant
    command = parse_command(text)
    assert command is not None
    assert language in command.languages
    assert is_command(text), "it is answered at once"


@pytest.mark.parametrize(("language", "text"), [(language, text) for language, table in _SAID.items() for text in table["everything"]])
def test_everything_needs_no_command(language: str, text: str) -> None:
    command = parse_command(text)

    assert command is not None
    assert command.is_everything
    assert language in command.languages


@pytest.mark.parametrize("text", [text for table in _SAID.values() for text in table["model"]])
def test_what_only_sounds_like_it_is_left_to_the_model(text: str) -> None:
    command = parse_command(text)

    # A name of a kind with other words behind it is obeyed only where both are remembered (test_commands_forget).
    assert command is None or command.argument is not None
    assert objection(text) is None


@pytest.mark.parametrize(("language", "text"), [(language, text) for language, table in _SAID.items() for text in table["wrong"]])
def test_a_correction_is_what_follows_an_objection(language: str, text: str) -> None:
    found = objection(text.replace("{}", "I live in Porto, by the sea"))

    assert found is not None
    assert found[0] == "I live in Porto, by the sea"
    assert language in found[1]
    assert not is_command(text.replace("{}", "I live in Porto, by the sea"))


@pytest.mark.parametrize(
    "text", ["Wrong", "Wrong!", "Wrong order delivered", "That's wrong", "What is wrong, I live here?", "No, thanks", "It's wrong to lie"]
)
def test_an_objection_alone_is_none_of_the_services_business(text: str) -> None:
    assert objection(text) is None


@pytest.mark.parametrize(("language", "text"), [(language, table["forget_that"][3]) for language, table in _SAID.items()])
def test_a_message_may_end_or_begin_with_the_wish_that_it_is_not_remembered(language: str, text: str) -> None:
    assert keeps_out(f"My sister is ill. {text}."), language
    assert keeps_out(f"{text}: my sister is ill"), language
    assert keeps_out(f"  \n My sister is ill!\n{text}!!  "), language
    assert not keeps_out("My sister is ill. She lives in Porto.")
    assert not keeps_out(f"{text}, my sister is ill"), language


@pytest.mark.parametrize(
    "text",
    [
        "What do you know about me\u061f",
        "\u00bfQu\u00e9 sabes de m\u00ed?",
        "\u200bforget my address\u200b",
        "*Forget that*",
        "FORGET MY ADDRESS!!!",
        "forget\nmy address",
        "don\u2019t remember this",
    ],
)
def test_marks_and_case_do_not_matter(text: str) -> None:
    assert is_command(text)


@pytest.mark.parametrize("text", ["Forget my address?", "Delete everything about me?", "stop?", "Forget that?"])
def test_a_wish_with_a_question_mark_is_a_question_unless_one_is_asked_to_do_it(text: str) -> None:
    assert parse_command(text) is None
    assert text == "stop?" or parse_command(f"Can you {text.lower()}") is not None


def test_languages_do_not_mix_in_one_phrase() -> None:
    assert parse_command("forget mi dirección") is None
    assert parse_command("olvida my address") is None


@given(st.lists(st.sampled_from(sorted(book().all_words)), max_size=60))
def test_any_words_of_phrases_are_read_in_bounded_time(words: list[str]) -> None:
    text = " ".join(words)[:120]
    began = time.process_time()

    parse_command(text)
    objection(text)

    assert time.process_time() - began < 0.2


def test_a_choice_may_be_in_another_and_may_be_left_out() -> None:
    node = Node()
    node.add("forget (what (i|we) said|that) (now|)")

    def leads(text: str) -> bool:
        places = [node]
        for word in text.split():
            places = [following for place in _closed(places) for following in place.words.get(word, ())]
        return bool(places)

    def _closed(places: Sequence[Node]) -> list[Node]:
        return [one for place in places for one in (place, *_closed(place.skips))]

    assert all(leads(text) for text in ("forget what i said", "forget what we said now", "forget that", "forget that now"))
    assert not any(leads(text) for text in ("forget said", "forget now", "forget what i that", "what i said"))
