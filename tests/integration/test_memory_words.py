"""A person's memory is in their hands, in plain words of ten languages: through a real worker, before any model, and the answer tells what happened."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from bots.extract.texts import files, text
from bots.storage.database import unit
from tests.support.cluster import Cluster
from tests.support.one_worker import OneWorker, one_worker
from tests.support.person import SMALL_TALK, Person
from tests.support.played_model import Played
from tests.support.processes import until
from tests.support.storage_fixture import QUEUE, a_message, a_phone
from workers.turn.reply import reply_one

_SAID = {
    path.stem: tomllib.loads(path.read_text("utf-8")) for path in sorted((Path(__file__).parents[1] / "corpus" / "phrases").glob("*.toml"))
}
_LANGUAGES = sorted(_SAID)


@pytest.fixture(scope="module")
def worker(cluster: Cluster) -> Iterator[OneWorker]:
    with one_worker(cluster) as running:
        running.profile("first")
        yield running


@pytest.fixture
def person(worker: OneWorker) -> Person:
    one = Person(worker)
    one.say("My name is Marta and I live in Porto")
    return one


def _asked(worker: OneWorker) -> int:
    return len(worker.first.asked)


@pytest.mark.parametrize("language", _LANGUAGES)
def test_what_is_known_is_told_without_the_model(worker: OneWorker, person: Person, language: str) -> None:
    before = _asked(worker)

    answer = person.say(_SAID[language]["memory"][0])

    lead, *rows = answer.splitlines()
    assert lead == text("memory", language)
    assert [row.split(" ")[0] for row in rows[:2]] == ["1.", "2."]
    assert "Marta" in rows[0]
    assert "Porto" in rows[1]
    assert rows[2] == text("memory_end", language)
    assert _asked(worker) == before


@pytest.mark.parametrize("language", _LANGUAGES)
def test_an_address_is_forgotten_words_and_all_and_nothing_else_is(worker: OneWorker, person: Person, language: str) -> None:
    before = _asked(worker)

    answer = person.say(_SAID[language]["forget_place"][0])

    assert answer == " ".join(text(name, language) for name in ("forgotten_one", "words_gone", "stays"))
    assert person.remembered == {"Marta"}
    assert "Porto" not in person.words()
    assert person.say(_SAID[language]["forget_place"][0]) == text("forgotten_none", language)
    assert _asked(worker) == before


@pytest.mark.parametrize("language", _LANGUAGES)
def test_everything_is_deleted_at_once(worker: OneWorker, person: Person, language: str) -> None:
    person.say("I like saffron tea")
    before = _asked(worker)

    answer = person.say(_SAID[language]["everything"][0])

    assert answer == " ".join(text(name, language) for name in ("forgotten_all", "all_gone", "stays"))
    assert person.remembered == set()
    assert not [word for word in ("Marta", "Porto", "saffron") if word in person.words()]
    assert _asked(worker) == before


@pytest.mark.parametrize("language", _LANGUAGES)
def test_that_is_what_was_said_last(worker: OneWorker, person: Person, language: str) -> None:
    person.say("I like saffron tea")
    before = _asked(worker)

    answer = person.say(_SAID[language]["forget_that"][0])

    assert answer == " ".join(text(name, language) for name in ("forgotten_that", "stays"))
    assert person.remembered == {"Marta", "Porto"}
    assert "saffron" not in person.words()
    assert _asked(worker) == before


@pytest.mark.parametrize("language", _LANGUAGES)
def test_memory_can_be_switched_off_and_on_again(person: Person, language: str) -> None:
    said = _SAID[language]

    assert person.say(said["memory_off"][0]) == text("memory_off", language)
    person.say("I like saffron tea")
    assert person.remembered == {"Marta", "Porto"}
    assert person.say(said["memory"][0]).splitlines()[-1] == text("memory_is_off", language)
    assert person.say(said["memory_on"][0]) == text("memory_on", language)
    person.say("I like ginger tea")
    assert person.remembered == {"Marta", "Porto", "ginger tea"}


@pytest.mark.parametrize("language", _LANGUAGES)
def test_health_can_be_switched_off_and_is_forgotten_then(person: Person, language: str) -> None:
    person.add("allergy", "peanuts")
    person.add("medication", "metformin")

    answer = person.say(_SAID[language]["health_off"][0])

    assert answer == text("health_off", language, count=2)
    assert person.remembered == {"Marta", "Porto"}
    person.say("I'm allergic to hazelnuts.")
    assert person.remembered == {"Marta", "Porto"}
    assert person.say(_SAID[language]["health_on"][0]) == text("health_on", language)


@pytest.mark.parametrize("language", _LANGUAGES)
def test_why_tells_the_memories_of_the_last_answer_and_their_words(person: Person, language: str) -> None:
    assert person.say(_SAID[language]["why"][0]) == text("why_none", language)
    person.say("/reset")
    person.say("What is my name?")

    lead, *rows = person.say(_SAID[language]["why"][0]).splitlines()

    assert lead == text("why", language)
    assert any("Marta" in row and '"My name is Marta and I live in Porto"' in row for row in rows)


@pytest.mark.parametrize("language", _LANGUAGES)
def test_a_correction_is_answered_by_what_it_changed(worker: OneWorker, person: Person, language: str) -> None:
    before = _asked(worker)

    answer = person.say(_SAID[language]["wrong"][0].format("I live in Lyon"))

    assert "Lyon" in answer
    assert answer.endswith(files()[language]["noted_instead"].replace("{values}", "Porto"))
    assert person.remembered == {"Marta", "Lyon"}
    assert _asked(worker) == before


@pytest.mark.parametrize("language", _LANGUAGES)
def test_a_command_is_answered_in_the_language_of_the_talk(person: Person, language: str) -> None:
    person.say(SMALL_TALK[language])

    assert person.say("/memory").splitlines()[0] == text("memory", language)
    assert person.say("/help") == text("help", language)
    assert person.say("/forget 99") == text("forgotten_none", language)


@pytest.mark.parametrize("language", _LANGUAGES)
def test_what_only_sounds_like_it_goes_to_the_model(worker: OneWorker, person: Person, language: str) -> None:
    for said in _SAID[language]["model"]:
        before = _asked(worker)
        person.say(said)
        assert _asked(worker) == before + 1, said
    assert person.remembered >= {"Marta", "Porto"}


@pytest.mark.parametrize("language", _LANGUAGES)
def test_the_first_fact_about_health_is_followed_by_one_sentence_and_no_other(person: Person, language: str) -> None:
    person.say(SMALL_TALK[language])

    first, second = person.say("I'm allergic to hazelnuts."), person.say("I'm allergic to walnuts.")

    # The last words that show a language are English now.
    assert person.remembered >= {"Marta", "Porto", "hazelnuts", "walnuts"}
    assert first.endswith(text("sensitive", "en"))
    assert text("sensitive", "en") not in second


def test_a_bot_that_keeps_messages_says_so_and_keeps_them(cluster: Cluster) -> None:
    with one_worker(cluster) as worker:
        worker.profile("first")
        with unit(worker.storage.web) as connection:
            connection.exec_driver_sql("update bots set keeps_messages = true")
        person = Person(worker)
        person.say("My name is Marta and I live in Porto")

        assert person.say("Forget my address") == " ".join(text(name) for name in ("forgotten_one", "words_kept"))
        assert person.remembered == {"Marta"}
        assert person.say("I like saffron tea. Don't remember this.").endswith(" ".join(text(name) for name in ("not_kept", "words_kept")))
        person.add("allergy", "peanuts")
        assert person.say("Don't remember my health") == " ".join([text("health_off", count=1), text("words_kept")])
        assert person.say("Delete everything about me") == " ".join(text(name) for name in ("forgotten_all", "words_kept"))
        assert person.remembered == set()
        assert "Porto" in person.words()


def test_a_number_is_that_of_the_list_that_was_seen_last(person: Person) -> None:
    person.say("I like saffron tea")
    assert "3. you like saffron tea" in person.say("/memory")
    # Grouped by kind, this would move all numbers behind it.
    person.say("My dog is called Biscuit.")

    assert text("forgotten_one") in person.say("/forget 3")
    assert person.remembered == {"Marta", "Porto", "dog Biscuit"}
    assert person.say("/forget 3") == text("forgotten_none")
    assert text("forgotten_one") in person.say("/forget 2")
    assert person.remembered == {"Marta", "dog Biscuit"}


def test_a_name_is_forgotten_and_not_what_begins_like_it(person: Person) -> None:
    person.say("My dog is called Biscuit.")
    person.say("I like oat biscuits")

    person.say("/forget Biscuit")

    assert person.remembered == {"Marta", "Porto", "oat biscuits"}


def test_what_is_said_before_that_in_the_same_turn_is_meant(worker: OneWorker, person: Person) -> None:
    before = _asked(worker)

    answer = person.say("I like saffron tea", "Forget that")

    assert answer == " ".join(text(name) for name in ("forgotten_that", "stays"))
    assert person.remembered == {"Marta", "Porto"}
    assert "saffron" not in person.words()
    assert _asked(worker) == before


def test_a_message_that_is_not_to_be_remembered_is_answered_and_then_gone(worker: OneWorker, person: Person) -> None:
    before = _asked(worker)

    answer = person.say("I like saffron tea. Please don't remember this.")

    assert answer.endswith(text("not_kept"))
    assert _asked(worker) == before + 1
    assert person.remembered == {"Marta", "Porto"}
    assert "saffron" not in person.words()


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("I like saffron tea. Please don't remember this.", "I am allergic to peanuts"),
        ("Don't remember this: I like saffron tea", "My dog is called Rex"),
        ("J'aime le saffron. Ne retiens pas \u00e7a.", "Je suis allergique aux noix"),
        ("Ich mag saffron. Merk dir das nicht.", "Meine Katze hei\u00dft Minka"),
        ("Me gusta el saffron. No recuerdes esto.", "Soy vegetariano"),
    ],
)
def test_beside_a_message_that_is_not_to_be_remembered_the_others_of_its_turn_stay_with_what_they_state(
    person: Person, said: str, kept: str, *, first: bool
) -> None:
    person.say(*((said, kept) if first else (kept, said)))

    assert "saffron" not in person.words()
    assert person.history()[-1] == kept
    assert len(person.remembered - {"Marta", "Porto"}) == 1


def test_that_with_nothing_before_it_forgets_nothing(worker: OneWorker) -> None:
    stranger = Person(worker)

    assert stranger.say("Forget that") == text("forgotten_that_none")


def test_a_wish_that_is_read_again_reaches_no_further_back(worker: OneWorker, person: Person) -> None:
    person.say("I like saffron tea")
    person.say("Forget that")

    person.say("Forget that")

    assert person.remembered == {"Marta", "Porto"}


def test_a_dog_that_is_not_known_is_the_models_business(worker: OneWorker, person: Person) -> None:
    before = _asked(worker)

    person.say("Forget my dog Rex")

    assert _asked(worker) == before + 1
    assert person.say("Forget my dog") == text("forgotten_none")


@pytest.mark.parametrize(
    ("asked", "done"),
    [
        ("/forget Porto", "forgotten_one"),
        ("/forget 2", "forgotten_one"),
        ("Forget my name", "forgotten_one"),
        ("/forget all", "forgotten_all"),
        ("/forget Lyon", "forgotten_none"),
    ],
)
def test_a_wish_in_a_turn_that_waits_for_its_model_is_answered_by_what_it_did(cluster: Cluster, asked: str, done: str) -> None:
    with one_worker(cluster) as worker:
        worker.profile("first")
        person = Person(worker)
        person.say("My name is Marta and I live in Porto")
        worker.first.plays = lambda _prompt: Played(status=503)

        worker.storage.let_in(*(a_message(words, by=(a_phone(person.number),)) for words in (asked, "What is my name?")))
        for _ in range(2):
            assert reply_one(worker.deps, QUEUE)
            worker.make_due()
        worker.storage.let_in(a_message("/forget Oslo", by=(a_phone(person.number),)))
        worker.make_due()
        worker.first.plays = lambda _prompt: None
        until(lambda: reply_one(worker.deps, QUEUE), what="the turn is tried again")

        said = [
            row.body
            for row in worker.storage.rows("select body from outbox where contact_id = %s order by created_at, part", person.contact)
        ]
        assert said[-3].startswith(text(done)), said
        assert said[-2].startswith(text("forgotten_none")), said
        assert said[-1] == "You said: What is my name?"


def test_a_number_hits_one_memory_even_if_the_turn_waits_for_its_model_and_comes_again(cluster: Cluster) -> None:
    with one_worker(cluster) as worker:
        worker.profile("first")
        person = Person(worker)
        person.say("My name is Marta and I live in Porto")
        worker.first.plays = lambda _prompt: Played(status=503)

        worker.storage.let_in(*(a_message(words, by=(a_phone(person.number),)) for words in ("/forget 1", "What is my name?")))
        assert reply_one(worker.deps, QUEUE)
        assert person.remembered == {"Porto"}
        worker.first.plays = lambda _prompt: None
        worker.make_due()
        until(lambda: reply_one(worker.deps, QUEUE), what="the turn is tried again")

        assert person.remembered == {"Porto"}
