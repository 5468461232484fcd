"""What is told at the beginning stays while a session lasts; what was learned meanwhile stands beside the message where it is needed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from bots.storage.claims import KnownFact, PastTurn
from bots.storage.turns import NewEnd, NewFact
from workers.turn import telling
from workers.turn.stated import Stated

_SAID = datetime(2026, 11, 30, 12, tzinfo=UTC)


def known(kind: str, text: str, *, is_new: bool = False, days_ago: int = 0) -> KnownFact:
    return KnownFact(id=uuid4(), kind=kind, text=text, said_at=_SAID - timedelta(days=days_ago), is_new=is_new)


def states(kind: str, text: str) -> NewFact:
    return NewFact(kind=kind, text=text, source=uuid4())


def told(memories: Sequence[KnownFact] = (), **more: Any) -> tuple[list[str], list[str], list[str]]:
    usual: dict[str, Any] = {"history": (), "said": "ok", "language": "en", "count": len, "is_new_session": False}
    found = telling.choose(memories, more.pop("stated", Stated()), **(usual | more))
    return [one.text for one in found.profile], [one.text for one in found.beside], [one.text for one in found.stated]


def test_what_is_known_from_before_begins_the_prompt_and_likes_are_not_recited() -> None:
    facts = [known("likes", "jazz"), known("allergy", "nuts"), known("name", "Marta")]

    assert told(facts) == (["Marta", "nuts"], [], [])
    assert told(facts, said="Is there a jazz concert?") == (["Marta", "nuts"], ["jazz"], [])
    assert told(facts, said="What do I like?") == (["Marta", "nuts"], ["jazz"], [])


def test_a_message_is_told_with_what_it_states_itself() -> None:
    assert told(stated=Stated(facts=[states("allergy", "peanuts")])) == ([], [], ["peanuts"])
    assert told([known("allergy", "Peanuts")], stated=Stated(facts=[states("allergy", "peanuts")]), said="no peanuts") == (
        ["Peanuts"],
        ["Peanuts"],
        [],
    )


def test_what_was_learned_in_the_talk_is_told_again_where_it_could_hurt_or_the_message_is_about_it() -> None:
    talk = [PastTurn(number=1, asked="I'm Luis from Lisbon and can't have nuts", answer="Hello!")]
    facts = [known("name", "Luis", is_new=True), known("place", "Lisbon", is_new=True), known("allergy", "nuts", is_new=True)]

    assert told(facts, history=talk, said="Good evening") == ([], ["nuts"], [])
    assert told(facts, history=talk, said="Where do I live?") == ([], ["Lisbon", "nuts"], [])
    assert told(facts, history=talk, said="Is it raining in Lisbon?") == ([], ["Lisbon", "nuts"], [])


def test_what_the_talk_does_not_say_in_these_words_is_told_too() -> None:
    talk = [PastTurn(number=1, asked="my girl is called Amelie", answer="Nice")]

    assert told([known("family", "daughter Amelie", is_new=True)], history=talk) == ([], ["daughter Amelie"], [])
    assert told([known("pet", "cat Tom", is_new=True)]) == ([], ["cat Tom"], []), "an operator added it"


def test_a_new_session_begins_with_all_of_it() -> None:
    assert told([known("name", "Luis", is_new=True), known("place", "Lisbon")], is_new_session=True) == (["Luis", "Lisbon"], [], [])


@pytest.mark.parametrize(
    ("stated", "left"),
    [
        (Stated(facts=[states("place", "Porto")]), ["Marta", "dog Rex", "cat Tom"]),
        (Stated(facts=[states("pet", "parrot Coco")]), ["Marta", "Lyon", "dog Rex", "cat Tom"]),
        (Stated(ends=[NewEnd(kind="pet", text="rex", source=uuid4())]), ["Marta", "Lyon", "cat Tom"]),
        (Stated(ends=[NewEnd(kind="pet", text=None, source=uuid4())]), ["Marta", "Lyon"]),
        (Stated(ends=[NewEnd(kind="place", text="Rex", source=uuid4())]), ["Marta", "Lyon", "dog Rex", "cat Tom"]),
        (Stated(ends=[NewEnd(kind="pet", text="re", source=uuid4())]), ["Marta", "Lyon", "dog Rex", "cat Tom"]),
    ],
)
def test_what_the_message_replaces_or_ends_is_told_no_more(stated: Stated, left: list[str]) -> None:
    facts = [known("name", "Marta"), known("place", "Lyon"), known("pet", "dog Rex"), known("pet", "cat Tom")]

    assert sorted(told(facts, stated=stated)[0]) == sorted(left)


def test_what_a_message_is_about_is_told_again_beside_it() -> None:
    facts = [known("name", "Marta"), known("allergy", "peanuts"), known("pet", "dog Rex")]

    assert told(facts, said="Can I have a peanut sandwich?")[1] == ["peanuts"]
    assert told(facts, said="What is my name?")[1] == ["Marta"]
    assert told(facts, said="Good evening")[1] == []


def test_what_the_beginning_has_no_room_for_is_told_where_the_message_is_about_it() -> None:
    facts = [known("pet", f"parrot number {n}", days_ago=n) for n in range(90)]
    first, beside, _ = told(facts, said="hello")

    assert len(first) < 60
    assert beside == []
    assert "parrot number 89" not in first
    assert told(facts, said="Is 89 well?")[1] == ["parrot number 89"]


def test_of_many_likes_that_fit_the_newest_are_told() -> None:
    facts = [known("likes", f"jazz from {n}") for n in range(30)]

    assert told(facts, said="any jazz?")[1] == [one.text for one in facts[:6]]
