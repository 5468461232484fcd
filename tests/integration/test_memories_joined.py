"""Two contacts are joined and separated again: of what both said the newest holds, and each gets back their own."""

from __future__ import annotations

from uuid import UUID

import pytest

from bots.admin.attention import troubles
from bots.admin.attention.troubles import Action
from bots.domain import End
from bots.storage import memories
from bots.storage.attention import TroubleKind
from bots.storage.database import unit
from bots.storage.turns import Erasure, RecalledTurn
from tests.integration.test_two_people import A, B, P, talk
from tests.support.remembering import fact, living, memory, minutes, next_claim, said
from tests.support.storage_fixture import StorageFixture


class _Two:
    """Ann and Cy, who may be one person: Ann's number comes with Cy's id."""

    def __init__(self, storage: StorageFixture) -> None:
        self.storage = storage
        self.ann = talk(storage, "hello", P, A)
        self.cy = talk(storage, "hello", B)

    def meet(self) -> None:
        talk(self.storage, "hello again", P, B)
        (self.case,) = (one.id for one in troubles.list_troubles(self.storage.deps, self.storage.operator(), kind=None))

    def join(self) -> None:
        self._say(Action.SAME_PERSON)

    def separate(self) -> None:
        self._say(Action.TWO_PEOPLE)

    def _say(self, action: Action) -> None:
        troubles.act(self.storage.deps, self.storage.operator(), TroubleKind.IDENTITY, self.case, action)


@pytest.fixture
def two(storage: StorageFixture) -> _Two:
    """Two contacts with a conversation each."""
    return _Two(storage)


def _of(storage: StorageFixture, contact: UUID) -> set[str]:
    return {row.text for row in storage.rows("select text from memories where valid_to is null and contact_id = %s", contact)}


@pytest.mark.parametrize("later", [0, 1])
def test_what_was_said_later_holds_whoever_said_it(storage: StorageFixture, two: _Two, later: int) -> None:
    said(storage, "Ann", by=A, at=minutes(later * 2), facts=[fact("place", "Leeds"), fact("likes", "tea"), fact("pet", "dog Rex")])
    said(storage, "Cy", by=B, at=minutes(1), facts=[fact("place", "York"), fact("dislikes", "tea"), fact("pet", "dog Rex")])
    two.meet()

    two.join()
    joined = living(storage)
    two.separate()

    assert joined == (
        {("place", "Leeds"), ("likes", "tea"), ("pet", "dog Rex")}
        if later
        else {("place", "York"), ("dislikes", "tea"), ("pet", "dog Rex")}
    )
    assert storage.value("select count(*) from memories where text = 'dog Rex' and valid_to is null") == 2
    assert (_of(storage, two.ann), _of(storage, two.cy)) == ({"Leeds", "tea", "dog Rex"}, {"York", "tea", "dog Rex"})


def test_what_the_other_ended_lives_again_once_they_are_two(storage: StorageFixture, two: _Two) -> None:
    said(storage, "my dog is Rex", by=A, facts=[fact("pet", "dog Rex")])
    two.meet()
    two.join()
    said(storage, "Rex died", by=B, ends=[End(kind="pet", value="Rex")])
    ended = living(storage)

    two.separate()

    assert (ended, _of(storage, two.ann), _of(storage, two.cy)) == (set(), {"dog Rex"}, set())


def test_what_an_operator_added_goes_back_with_its_person(storage: StorageFixture, two: _Two) -> None:
    with unit(storage.crossing) as connection:
        memories.add(connection, contact=two.ann, kind="allergy", value="nuts", by="ana")
        memories.add(connection, contact=two.cy, kind="allergy", value="milk", by="ana")
    two.meet()

    two.join()
    two.separate()

    assert (_of(storage, two.ann), _of(storage, two.cy)) == ({"nuts"}, {"milk"})


def test_a_switch_of_either_holds_for_both_and_goes_back(storage: StorageFixture, two: _Two) -> None:
    said(storage, "remember nothing", by=A, memory_off=True)
    said(storage, "nothing about health", by=B, sensitive_off=True, sensitive_told=True)
    two.meet()

    two.join()
    joined = next_claim(storage, by=B)
    storage.finish(joined)
    two.separate()
    cy = next_claim(storage, by=B)
    storage.finish(cy)
    ann = next_claim(storage, by=A)

    switches = [(claim.memory_off, claim.sensitive_off, claim.sensitive_told) for claim in (joined, cy, ann)]
    assert switches == [(True, True, True), (False, True, True), (True, False, False)]


def test_a_turn_that_recalled_the_others_does_not_name_it_any_more(storage: StorageFixture, two: _Two) -> None:
    anns = said(storage, "my code is 7714", by=A).turn
    two.meet()
    two.join()
    said(storage, "what is my code?", by=B, recalled=[RecalledTurn(turn=anns, signals=["words"])])
    joined = storage.value("select count(*) from recalled_turns")

    two.separate()

    assert (joined, storage.value("select count(*) from recalled_turns")) == (1, 0)


def test_who_was_joined_forgets_what_either_said(storage: StorageFixture, two: _Two) -> None:
    said(storage, "my dog is Rex", by=A, facts=[fact("pet", "dog Rex")])
    two.meet()
    two.join()

    said(storage, "forget him", by=B, in_history=False, erase=Erasure(memories=[memory(storage, "dog Rex")]))

    assert storage.value("select count(*) from inbox where text ilike '%%rex%%'") == 0
    assert living(storage) == set()
