"""The many ways in which people say what they want of their memory, and what only looks like it: 25 ways for each wish in each of ten languages."""

from __future__ import annotations

import tomllib
import unicodedata
from pathlib import Path

import pytest

from bots import phrases
from bots.commands import Command, objection, parse_command
from bots.kinds import kinds
from bots.phrases.book import book, tables

_SAID = {
    path.stem: {meant: text.strip().splitlines() for meant, text in tomllib.loads(path.read_text("utf-8")).items()}
    for path in sorted((Path(__file__).parents[1] / "corpus" / "phrases_more").glob("*.toml"))
}
_CASES = [(language, meant) for language, table in _SAID.items() for meant in table if meant not in ("model", "wrong")]


def _meant(command: Command | None) -> str:
    """What it is taken for, as the tables name it."""
    if command is None or command.name != "forget" or command.is_everything:
        return "model" if command is None else "everything" if command.name == "forget" else command.name
    return f"forget_{command.kinds[0].word or command.kinds[0].kind}" if command.kinds else "forget"


def test_the_tables_are_in_all_languages_and_large_enough() -> None:
    assert set(_SAID) == set(tables())
    for table in _SAID.values():
        assert all(
            len(table[meant]) >= 20 for meant in ("memory", "everything", "forget_that", "memory_off", "memory_on", "why", "wrong", "model")
        )
        assert sum(len(texts) for meant, texts in table.items() if meant.startswith("forget_")) >= 50


@pytest.mark.parametrize(("language", "meant"), _CASES)
def test_a_wish_is_understood_in_the_ways_that_people_say_it(language: str, meant: str) -> None:
    found = [(text, _meant(parse_command(text))) for text in _SAID[language][meant]]

    assert [(text, one) for text, one in found if one != meant] == []


@pytest.mark.parametrize("language", sorted(_SAID))
def test_what_only_looks_like_a_wish_is_left_to_the_model(language: str) -> None:
    for text in _SAID[language]["model"]:
        command = parse_command(text)
        assert command is None or command.argument is not None, text
        assert objection(text) is None, text


@pytest.mark.parametrize("language", sorted(_SAID))
def test_an_objection_is_understood_in_the_ways_that_people_say_it(language: str) -> None:
    for text in _SAID[language]["wrong"]:
        assert objection(text.replace("{}", "I live in Porto")) is not None, text


@pytest.mark.parametrize("text", (Path(__file__).parents[1] / "corpus" / "phrases_negated.txt").read_text("utf-8").splitlines())
def test_the_opposite_of_a_wish_and_a_question_about_it_are_none(text: str) -> None:
    command = parse_command(text)

    assert command is None or command.argument is not None


def _plain(text: str) -> str:
    """A text as somebody types it who has no accents."""
    return (
        "".join(sign for sign in unicodedata.normalize("NFD", text) if not unicodedata.combining(sign)).replace("ı", "i").replace("ß", "ss")
    )


@pytest.mark.parametrize("language", sorted(set(_SAID) - {"hi", "ar"}))
def test_accents_and_capitals_do_not_matter(language: str) -> None:
    umlauts = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})
    for meant in _SAID[language].keys() - {"model", "wrong"}:
        for text in _SAID[language][meant]:
            assert _meant(parse_command(_plain(text))) == meant, text
            assert language == "tr" or _meant(parse_command(text.upper())) == meant, text
            assert language != "de" or _meant(parse_command(text.translate(umlauts))) == meant, text


@pytest.mark.parametrize(
    "text", ["stop today", "stop already", "stop and go", "baja hoy", "baja y sube", "parar hoy", "sair hoje", "dur bugün"]
)
def test_what_may_stand_in_a_wish_about_memory_may_not_in_one_to_stop(text: str) -> None:
    assert parse_command(text) is None


# Typing errors


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("forget my adress", "forget_place"),
        ("froget my address", "forget_place"),
        ("forget my adddress", "forget_place"),
        ("delete evrything about me", "everything"),
        ("delete everithing about me", "everything"),
        ("what do you knwo about me?", "memory"),
        ("olvida mi direcion", "forget_place"),
        ("vergiss meine Adrese", "forget_place"),
        ("oublie mon adrresse", "forget_place"),
        ("dimentica il mio inidrizzo", "forget_place"),
        ("esqueça meu enedreço", "forget_place"),
        ("adersimi unut", "forget_place"),
        ("lupakan alamt saya", "forget_place"),
    ],
)
def test_a_mistyped_word_is_understood(text: str, meant: str) -> None:
    assert _meant(parse_command(text)) == meant


@pytest.mark.parametrize(
    "text",
    [
        "delete my cart",
        "forget my carts",
        "delete my plane",
        "borra mis gastos",
        "esqueci meu endereço",
        "esqueço meu endereço",
        "dimentico il mio indirizzo",
        "vergaß meine Adresse",
        "forgot my address",
        "deleted my address",
        "kartımı sil",
        "adresimi unutma",
        "olvidé mi dirección",
        "Olvidé mis medicinas",
        "oublié mon adresse",
        "stopp messaging mee",
    ],
)
def test_another_word_is_not_taken_for_a_mistyped_one(text: str) -> None:
    assert parse_command(text) is None


def test_a_word_that_everybody_knows_is_never_mended() -> None:
    spelling = book().spelling

    assert not list(spelling.mended(("forget", "my", "address")))
    assert not list(spelling.mended(("zebra", "quagga", "okapi")))
    assert ("forget", "my", "address") in list(spelling.mended(("forget", "my", "adress")))


# Names of kinds


@pytest.mark.parametrize("language", sorted(_SAID))
def test_a_kind_is_understood_by_the_name_that_a_list_gives_it(language: str) -> None:
    memory = next(iter(tables()[language]["slash"]["memory"].split(";")))

    for kind in kinds():
        command = parse_command(f"/{memory} {phrases.name_of(kind, language)}")
        assert command is not None, kind
        assert command.name == "memory"
        assert kind in {one.kind for one in command.kinds}, kind


@pytest.mark.parametrize("text", ["/memory tea", "/memory of the wine", "/memory likes and dislikes of mine, please"])
def test_other_words_behind_it_are_no_kind(text: str) -> None:
    assert parse_command(text) is None


def test_a_question_that_also_allows_something_is_obeyed() -> None:
    for text in ("¿Puedes volver a recordar cosas sobre mí?", "Can you remember things about me again?", "Puoi ricordare di nuovo?"):
        command = parse_command(text)
        assert command is not None, text
        assert command.name == "memory_on"


@pytest.mark.parametrize(
    "text", ["es verdad, vivo en Oporto", "c'est vrai, j'habite à Porto", "è vero, vivo a Porto", "é verdade, moro no Porto"]
)
def test_who_agrees_does_not_object(text: str) -> None:
    assert objection(text) is None
