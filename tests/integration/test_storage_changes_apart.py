"""Changes of what is not a plain message of a contact: answers that staff change, messages of groups, and what came in standby too."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest

from bots.domain import DeliveryStatus, EventKind, InboundEvent, Outcome, Retry
from tests.support.changes import ADA, NOW, an_edit, an_unsend, says
from tests.support.storage_fixture import StorageFixture, a_status

# An answer of the bot, changed by staff in the platform's inbox


def _own(kind: EventKind, text: str | None = None, *, n: int = 1) -> InboundEvent:
    return InboundEvent(
        kind=kind,
        event_key=f"echo:{kind}:{n}",
        identities=(ADA,),
        text=text,
        target="OUT1",
        supported=False,
        occurred_at=NOW + timedelta(seconds=n),
    )


_ONE, _TWO = _own(EventKind.EDIT, "one"), _own(EventKind.EDIT, "two", n=2)
_GONE = _own(EventKind.REVOKE, n=3)


@pytest.mark.parametrize("order", list(itertools.permutations(["sent", _ONE, _TWO])))
def test_of_several_edits_of_an_answer_the_newest_holds(storage: StorageFixture, order: tuple[InboundEvent | str, ...]) -> None:
    storage.let_in(says("a question", "w1"))
    sending = storage.answered(asked="a question")
    for step in order:
        if isinstance(step, InboundEvent):
            storage.let_in(step)
        else:
            storage.end(sending, external_id="OUT1")

    assert storage.value("select answer from turns") == "two"


@pytest.mark.parametrize("order", list(itertools.permutations(["sent", _ONE, _GONE])))
def test_an_answer_that_was_taken_back_stays_so(storage: StorageFixture, order: tuple[InboundEvent | str, ...]) -> None:
    storage.let_in(says("a question", "w1"))
    sending = storage.answered(asked="a question")
    for step in order:
        if isinstance(step, InboundEvent):
            storage.let_in(step)
        else:
            storage.end(sending, external_id="OUT1")

    assert storage.value("select answer from turns") is None
    assert storage.value("select count(*) from inbox where text in ('one', 'two')") == 0


def test_an_answer_whose_id_comes_with_a_status_is_changed_too(storage: StorageFixture) -> None:
    storage.let_in(says("a question", "w1"))
    sending = storage.answered(asked="a question")
    storage.end(sending, Outcome.UNKNOWN, retry=Retry.LATER)
    storage.let_in(_GONE)

    storage.let_in(a_status("OUT1", DeliveryStatus.DELIVERED, correlation=sending.message))

    assert storage.value("select answer from turns") is None


def test_parts_that_were_stopped_do_not_come_back_once_the_question_was_taken_back(storage: StorageFixture) -> None:
    storage.let_in(says("a question", "w1"))
    sending = storage.answered(asked="a question", parts=["one", "two"])
    storage.end(sending, Outcome.UNKNOWN, retry=Retry.NEVER)

    storage.let_in(an_unsend("w1"))
    storage.let_in(a_status("OUT1", DeliveryStatus.DELIVERED, correlation=sending.message))

    assert storage.rows("select status, reason from outbox order by part") == [("delivered", None), ("failed", "unsent")]


# Messages of groups, and in standby


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_message_of_a_group_can_be_taken_back_and_changed(storage: StorageFixture, order: tuple[int, int]) -> None:
    group = InboundEvent(kind=EventKind.UNKNOWN, event_key="g1", identities=(ADA,), text="my code is 7714", supported=False)
    other = InboundEvent(kind=EventKind.UNKNOWN, event_key="g2", identities=(ADA,), text="at noon", supported=False)
    both = ([group, other], [an_unsend("g1"), an_edit("g2", "at one")])
    for n in order:
        storage.let_in(*both[n])

    assert storage.rows("select text from inbox where kind <> 'edit' and text is not null") == [("at one",)]
    assert storage.claim() is None


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_what_came_in_standby_and_as_a_message_is_taken_back_in_both(storage: StorageFixture, order: tuple[int, ...]) -> None:
    standby = InboundEvent(kind=EventKind.STANDBY, event_key="standby:w1", identities=(ADA,), text="my code is 7714", supported=False)
    events = [standby, says("my code is 7714", "w1"), an_unsend("w1")]
    for n in order:
        storage.let_in(events[n])

    assert storage.claim() is None
    assert storage.value("select count(*) from inbox where text is not null") == 0
    assert storage.value("select count(*) from envelopes where body is not null") == 0


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0), (2, 0, 1)])
def test_what_came_in_standby_and_as_a_message_is_changed_in_both(storage: StorageFixture, order: tuple[int, ...]) -> None:
    standby = InboundEvent(kind=EventKind.STANDBY, event_key="standby:w1", identities=(ADA,), text="at noon", supported=False)
    events = [standby, says("at noon", "w1"), an_edit("w1", "at one")]
    for n in order:
        storage.let_in(events[n])

    assert [message.text for message in storage.claimed().messages] == ["at one"]
    assert storage.rows("select distinct text from inbox where text is not null") == [("at one",)]


def test_a_reply_to_an_answer_that_staff_took_back_does_not_repeat_it(storage: StorageFixture) -> None:
    storage.let_in(says("a question", "w1"))
    storage.end(storage.answered(asked="a question"), external_id="OUT1")

    storage.let_in(_GONE, says("what was that?", "w2", quoted="OUT1"))

    assert storage.claimed().messages[0].quoted is None
