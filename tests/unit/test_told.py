"""What is remembered is told to the person, in the language in which the conversation began, as quoted data."""

from __future__ import annotations

import json
import tomllib
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.kinds import kinds
from bots.storage.claims import KnownFact
from workers.turn import told

_FOLDER = Path(told.__file__).parent
_LANGUAGES = {file.stem: tomllib.loads(file.read_text("utf-8")) for file in (_FOLDER / "languages").glob("*.toml")}
_SAID = datetime(2026, 11, 5, 23, 30, tzinfo=UTC)


def a_fact(kind: str = "name", text: str = "Marta", **more: Any) -> KnownFact:
    return KnownFact(**{"id": uuid4(), "kind": kind, "text": text, "said_at": _SAID} | more)


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
    assert set(words["facts"]) == set(words["questions"]) == set(words["asked"]) == set(_LANGUAGES["en"]["facts"])
    assert set(kinds()) == set(words["facts"])
    whole = [words[name] for name in ("notes", "other", "plan_on", "plan_between", "wrote", "answered")]
    assert all(line.count("{}") == 1 for line in (*words["facts"].values(), *whole))
    assert all("{day}" in words[name] for name in ("plan_on", "plan_between", "said", "wrote"))
    assert "{fact}" in words["said"]
    assert "{last}" in words["plan_between"]


@given(st.text())
def test_no_value_can_close_its_quotes(text: str) -> None:
    line = told.fact_line("name", text, language="en")

    value = json.loads(line.removeprefix("Your name is "))
    assert value == told.neutralise(text)


@given(st.text(), st.sampled_from(list(_LANGUAGES)))
def test_a_value_never_fills_another_place(text: str, language: str) -> None:
    line = told.fact_line("{kind} {}", text, language=language)

    assert told.quoted(text) in line


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


def test_a_plan_is_told_with_its_day_and_what_changes_with_the_day_on_which_it_was_said() -> None:
    facts = [
        a_fact("plan", "a trip to Faro", day=date(2026, 12, 24)),
        a_fact("plan", "a course", day=date(2026, 12, 24), last_day=date(2027, 1, 2)),
        a_fact("plan", "a new flat"),
        a_fact("condition", "a sore knee"),
    ]
    told_lines = [told.sentence(one, language="en", zone=ZoneInfo("Europe/Lisbon")) for one in facts]

    assert told_lines == [
        'On 24 December 2026 you plan: "a trip to Faro".',
        'From 24 December 2026 to 2 January 2027 you plan: "a course".',
        'Your plan: "a new flat" (said on 5 November 2026).',
        'You have this condition: "a sore knee" (said on 5 November 2026).',
    ]
    assert told.sentence(facts[3], language="de", zone=ZoneInfo("Europe/Berlin")).endswith("(gesagt am 6. November 2026).")


def test_a_profile_has_the_order_of_the_kinds_and_leaves_out_what_is_told_where_it_fits() -> None:
    facts = [a_fact(kind) for kind in reversed(kinds())]

    assert [one.kind for one in told.profile(facts, count=len)] == [name for name, kind in kinds().items() if kind.told == "always"]


def test_of_a_profile_that_is_too_long_names_and_what_could_hurt_somebody_stay_and_the_oldest_of_the_others_go() -> None:
    old = [
        a_fact(kind, f"the first {kind}", said_at=_SAID - timedelta(days=900))
        for kind in ("name", "addressing", "allergy", "medication", "diet")
    ]
    pets = [a_fact("pet", f"parrot number {n}", said_at=_SAID + timedelta(days=n)) for n in range(60)]
    kept = told.profile([*pets[::-1], *old], count=len)

    assert {one.id for one in old} < {one.id for one in kept}
    assert 10 < len(kept) < 60
    assert [one.text for one in kept if one.kind == "pet"] == [one.text for one in pets[-(len(kept) - len(old)) :]]


@pytest.mark.parametrize(
    ("text", "language", "line"),
    [
        ("daughter peanuts", "en", 'Your family: "daughter: allergy peanuts"'),
        ("hija penicilina", "es", 'Tu familia: "hija: alergia penicilina"'),
        ("Tochter N\u00fcsse", "de", 'Deine Familie: "Tochter: Allergie N\u00fcsse"'),
    ],
)
def test_what_a_relative_is_allergic_to_is_not_told_as_the_persons_own(text: str, language: str, line: str) -> None:
    assert told.fact_line("allergy", text, language=language) == line
    assert told.fact_line("allergy", "peanuts", language="en").startswith("You are allergic to")


def test_a_value_stays_on_its_line() -> None:
    assert len(told.quoted("one\ntwo\u2028three\u2029four\x85five").splitlines()) == 1


def test_somebody_with_a_thousand_allergies_fills_no_prompt_and_keeps_their_name_and_the_newest() -> None:
    many = [a_fact("allergy", f"thing {n}", said_at=_SAID + timedelta(minutes=n)) for n in range(1000)]
    name = a_fact("name", "Marta", said_at=_SAID - timedelta(days=900))
    place = a_fact("place", "Leeds", said_at=_SAID + timedelta(days=1))

    profile = told.profile([*many, name, place], count=lambda text: len(text) // 4)

    assert {name, many[-1]} <= set(profile)
    assert many[0] not in profile
    assert sum(len(told.fact_line(one.kind, one.text)) // 4 for one in profile) < 2000


def test_a_dozen_allergies_are_told_beside_a_hundred_people() -> None:
    sick = [a_fact("allergy", f"thing {n}") for n in range(12)]
    people = [a_fact("family", f"sister Anna{n} of Upper Nowhere", said_at=_SAID + timedelta(minutes=n)) for n in range(100)]

    profile = told.profile([*sick, *people], count=lambda text: len(text) // 4)

    assert set(sick) < set(profile)
    assert people[0] not in profile
