"""What a person asks to forget goes with its history, and what the service itself was asked is in no later prompt, in whatever language."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import get_args

import pytest

from bots.commands import CommandName
from bots.extract.texts import text
from bots.phrases import name_of
from bots.phrases.book import listed, tables
from bots.storage import memories
from bots.storage.database import unit
from tests.support.cluster import Cluster
from tests.support.one_worker import OneWorker, one_worker
from tests.support.person import SMALL_TALK, Person

_LANGUAGES = ("ar", "de", "en", "es", "fr", "hi", "id", "it", "pt", "tr")
_COMMANDS = ["/memory", "/mémoire", "/gedächtnis", "/yardım", "/याद", "/ذاكرة", "/ayuda", "/porquê", "/ingatan"]


@pytest.fixture(scope="module")
def worker(cluster: Cluster) -> Iterator[OneWorker]:
    with one_worker(cluster) as running:
        running.profile("first")
        yield running


@pytest.fixture
def person(worker: OneWorker) -> Person:
    return Person(worker)


def _kept(person: Person) -> set[str]:
    """What is kept of them, living or ended."""
    return {row.text for row in person.worker.storage.rows("select text from memories where contact_id = %s", person.contact)}


# History


@pytest.mark.parametrize("wish", ["Forget my name", "/forget name", "/forget Dana", "/forget 1", "forget my name Dana"])
def test_with_a_name_go_those_before_it(person: Person, wish: str) -> None:
    for name in ("Rosalba", "Ottilie", "Dana"):
        person.say(f"My name is {name}")
    person.say("I live in Porto")

    answer = person.say(wish)

    assert answer == " ".join([text("forgotten_many", count=3), text("words_gone"), text("stays")])
    assert _kept(person) == {"Porto"}
    assert not [name for name in ("Rosalba", "Ottilie", "Dana") if name in person.words()]


def test_a_kind_of_which_nothing_lives_is_forgotten_all_the_same(person: Person) -> None:
    person.say("I take metformin and I live in Porto")
    person.say("I no longer take metformin")
    assert person.remembered == {"Porto"}

    assert person.say("Forget my medication").startswith(text("forgotten_one"))
    assert _kept(person) == {"Porto"}
    assert person.say("Forget my medication").startswith(text("forgotten_none"))


def test_an_ended_value_is_found_where_no_living_one_has_it(person: Person) -> None:
    person.say("I live in Leeds")
    person.say("I live in Porto")
    person.say("My dog is called Leeds.")

    assert person.say("/forget Leeds").startswith(text("forgotten_one"))
    assert _kept(person) == {"Leeds", "Porto"}
    assert person.say("/forget Leeds").startswith(text("forgotten_one"))
    assert _kept(person) == {"Porto"}


def test_of_two_plans_in_the_same_words_the_one_with_the_number_goes(worker: OneWorker, person: Person) -> None:
    person.say("I like tea")
    with unit(worker.storage.crossing) as connection:
        for day in ("2030-05-01", "2030-06-01"):
            memories.add(connection, contact=person.contact, kind="plan", value="dentist", by="ana", day=day)  # pyright: ignore[reportArgumentType]

    assert person.say("/forget 1").startswith(text("forgotten_one"))
    assert worker.storage.value("select count(*) from memories where contact_id = %s and kind = 'plan'", person.contact) == 1


def test_health_that_is_switched_off_goes_with_what_it_was_before(person: Person) -> None:
    person.say("I take metformin and I live in Porto")
    person.say("I no longer take metformin")
    person.add("allergy", "peanuts")

    assert person.say("Don't remember my health") == text("health_off", count=2)
    assert _kept(person) == {"Porto"}


# The prompt in which it is switched off


def test_health_is_not_told_in_the_prompt_in_which_it_is_switched_off(person: Person) -> None:
    person.say("I live in Porto")
    person.say("/reset")
    person.say("I take metformin")
    person.say("I no longer take metformin")
    person.add("allergy", "peanuts")

    person.say("Don't remember my health", "I am diabetic. What can I eat?")

    told = person.prompt().replace("I am diabetic. What can I eat?", "")
    assert "Porto" in told
    assert not [word for word in ("metformin", "peanuts", "diabetic") if word in told]


# What the service itself answered


@pytest.mark.parametrize(
    "command", [*_COMMANDS, "What do you know about me?", "¿Qué sabes de mí?", "Olvida mi dirección", "तुम मेरे बारे में क्या जानते हो?"]
)
def test_a_message_that_is_told_again_comes_without_the_command_beside_it(person: Person, command: str) -> None:
    person.say(command, "Do you sell bread?")
    assert person.history() == ["Do you sell bread?"]

    person.edit("Do you sell bread?", "Do you sell rolls?")

    assert person.history() == ["Do you sell rolls?"]


def test_a_command_is_known_by_its_slash_in_every_language(worker: OneWorker) -> None:
    said = {
        f"/{word}"
        for meant in tables().values()
        for name in get_args(CommandName)
        for word in listed(meant["slash"].get(name, ""))
        if " " not in word
    }

    def known(texts: Iterable[str]) -> set[str]:
        return {
            row.text for row in worker.storage.rows("select text from unnest(%s::text[]) as t(text) where is_command(text)", list(texts))
        }

    assert known(said) == said
    assert known(f" *{word.upper()} 2*" for word in ("/forget", "/mémoire", "/löschen")) == {
        " */FORGET 2*",
        " */MÉMOIRE 2*",
        " */LÖSCHEN 2*",
    }
    assert known(["/pizza", "forget", "and/or forget", "", "/", "/forgetful", "1/memory", "/all"]) == set()


def test_what_was_said_before_a_reset_in_the_same_turn_is_not_told_again(person: Person) -> None:
    person.say("Do you sell bread?", "/nouveau", "Do you sell tea?")

    person.edit("Do you sell tea?", "Do you sell milk?")

    assert person.history() == ["Do you sell milk?"]


@pytest.mark.parametrize("command", ["/mémoire", "/hapus semua", "Forget my address"])
def test_a_message_that_is_changed_into_a_command_leaves_the_history_and_comes_back(person: Person, command: str) -> None:
    person.say("Do you sell bread?", "And tea?")

    person.edit("And tea?", command)
    assert person.history() == ["Do you sell bread?"]

    person.edit(command, "And milk?")
    assert person.history() == ["Do you sell bread?\nAnd milk?"]


@pytest.mark.parametrize(
    "changed",
    [
        "I like saffron tea. Please don't remember this.",
        "Don't remember this: I like saffron tea",
        "J'aime le thé au safran (saffron). Ne retiens pas ça.",
        "Don't remember this",
    ],
)
def test_a_message_that_is_changed_not_to_be_remembered_leaves_no_word(person: Person, changed: str) -> None:
    person.say("I like ginger tea")
    person.say("I like saffron buns")

    person.edit("I like saffron buns", changed)

    assert person.history() == ["I like ginger tea"]
    assert "saffron" not in person.words()
    assert _kept(person) == {"ginger tea"}


@pytest.mark.parametrize(
    ("changed", "kept"), [("I like saffron tea. Don't remember this.", {"ginger tea"}), ("Don't remember this", set[str]())]
)
def test_a_message_that_is_changed_so_beside_another_takes_that_one_along_only_where_it_is_nothing_but_the_wish(
    person: Person, changed: str, kept: set[str]
) -> None:
    person.say("I like ginger tea", "I like saffron buns")

    person.edit("I like saffron buns", changed)

    assert "saffron" not in person.words()
    assert _kept(person) == kept
    assert ("ginger" in person.words()) == bool(kept)


# The list


def _with_many(person: Person, count: int) -> None:
    person.say("My name is Marta and I live in Porto")
    person.worker.storage.do(
        "insert into memories (tenant_id, contact_id, kind, text, created_by) select tenant_id, id, 'likes', 'thing ' || n, 'operator ana'"
        " from contacts, generate_series(1, %s) n where id = %s", count, person.contact,
    )  # fmt: skip


@pytest.mark.parametrize("language", _LANGUAGES)
def test_a_list_is_one_message_and_says_how_many_more_there_are(person: Person, language: str) -> None:
    _with_many(person, 3000)
    person.say(SMALL_TALK[language])
    kind = name_of("likes", language)
    listed = "/" + text("memory_more", language, count=1, values="", what=kind).split("/")[1].split(" ")[0]

    answer = person.say(listed)

    *rows, more, _ = answer.splitlines()
    assert len(answer) <= 4096
    assert "Marta" in rows[1]
    assert "Porto" in rows[2]
    shown = len(rows) - 1
    assert shown > 50
    assert f"({3002 - shown})" in more
    assert kind in more
    part = person.say(f"{listed} {kind}")
    assert len(part) <= 4096
    assert "Marta" not in part
    assert part.splitlines()[1].startswith("1. ")


def test_a_number_is_that_of_the_part_that_was_seen(person: Person) -> None:
    _with_many(person, 3000)
    listed = person.say("/memory likes").splitlines()
    first = listed[1].split(" ", 3)[3]

    assert person.say("/forget 1").startswith(text("forgotten_one"))
    assert first not in person.remembered
    assert {"Marta", "Porto"} <= person.remembered
    assert len(person.remembered) == 3001


def test_a_kind_of_which_nothing_is_known_is_said_to_be_none(person: Person) -> None:
    person.say("My name is Marta")

    assert person.say("/memory pets").splitlines()[0] == text("memory_none_of_kind")
    assert "Marta" in person.say("/memory name")
