"""Messages that come after what was said later: what they state is held against it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.cluster import Cluster
from tests.support.one_worker import OneWorker, one_worker
from tests.support.person import Person


@pytest.fixture(scope="module")
def worker(cluster: Cluster) -> Iterator[OneWorker]:
    with one_worker(cluster) as running:
        running.profile("first")
        yield running


@pytest.fixture
def person(worker: OneWorker) -> Person:
    return Person(worker)


def _ago(minutes: float) -> datetime:
    return datetime.now(UTC) - timedelta(minutes=minutes)


_ENDED = [
    ("My dog is called Rex", "Rex died"),
    ("I live in Porto", "I no longer live in Porto"),
    ("I take metformin", "I stopped taking metformin"),
    ("Ich bin allergisch gegen Erdnüsse", "Ich bin nicht mehr allergisch gegen Erdnüsse"),
    ("Soy vegetariano", "Ya no soy vegetariano"),
]


@pytest.mark.parametrize(("first", "then"), _ENDED)
def test_an_end_that_was_read_first_ends_what_was_said_before_it(person: Person, first: str, then: str) -> None:
    person.say("Hello there")
    person.say(then, at=_ago(5))

    person.say(first, at=_ago(10))

    assert person.remembered == set()
    # Taking the end back gives it back.
    person.edit(then, "Good morning")
    assert len(person.remembered) == 1


@pytest.mark.parametrize(("first", "then"), _ENDED)
def test_what_is_said_after_an_end_lives(person: Person, first: str, then: str) -> None:
    person.say("Hello there")
    person.say(then, at=_ago(10))

    person.say(first, at=_ago(5))

    assert len(person.remembered) == 1


def test_a_few_seconds_are_enough(person: Person) -> None:
    person.say("Hello there")
    said_at = _ago(0.1)
    person.say("Rex died")

    person.say("My dog is called Rex", at=said_at)

    assert person.remembered == set()


def test_a_late_message_ends_nothing_that_it_does_not_name(person: Person) -> None:
    person.say("My cat is called Tom", "My cat is called Ada", at=_ago(30))
    person.say("My cat died", at=_ago(5))
    person.say("Forget my cat Ada")

    person.say("My dog is called Rex", at=_ago(10))

    assert person.remembered == {"cat Tom", "dog Rex"}


def test_what_a_forgotten_message_ended_lives(person: Person) -> None:
    person.say("Rex died", at=_ago(5))
    person.say("Forget that")

    person.say("My dog is called Rex", at=_ago(10))

    assert person.remembered == {"dog Rex"}
