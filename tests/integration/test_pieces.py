"""What somebody writes in several messages becomes one turn: how long storage waits for more, and what becomes of an answer that came too early."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from bots.errors import Superseded
from bots.extract.unfinished import Waits
from bots.storage.turns import ModelCall
from tests.support.changes import an_edit
from tests.support.storage_fixture import StorageFixture, a_message

ENDED, OPEN = Waits(0, 0, 0), Waits(3, 3, 3)
STATEMENT, UNMARKED = Waits(3, 0, 3), Waits(1, 0, 0)


def _due_in(storage: StorageFixture) -> float:
    return round(float(storage.value("select extract(epoch from ready_at - now()) from conversations")))


def _let_in(storage: StorageFixture, text: str, waits: Waits, **more: Any) -> None:
    storage.let_in(a_message(text, waits=waits, **more), debounce_s=10, cap_s=100)


def _a_call(cost: float) -> ModelCall:
    return ModelCall(attempt=1, endpoint="e", model="m", prompt=[], outcome="ok", tokens_in=5, tokens_out=5, total_ms=cost * 100, cost=cost)


def test_a_whole_question_of_somebody_quiet_is_due_at_once(storage: StorageFixture) -> None:
    _let_in(storage, "When do you open?", ENDED)

    assert storage.claim() is not None


def test_a_beginning_waits_three_times_as_long_as_what_may_be_one(storage: StorageFixture) -> None:
    _let_in(storage, "Hi", OPEN)

    assert _due_in(storage) == 30


def test_whoever_writes_two_messages_within_seconds_is_waited_for_again(storage: StorageFixture) -> None:
    _let_in(storage, "Hi", OPEN)
    _let_in(storage, "when do you open?", ENDED)
    assert _due_in(storage) == 20

    _let_in(storage, "I mean", OPEN)
    assert _due_in(storage) == 30


def test_a_command_waits_for_nothing_even_among_pieces(storage: StorageFixture) -> None:
    _let_in(storage, "Hi", OPEN)
    storage.let_in(a_message("/help", reply_at_once=True), debounce_s=10, cap_s=100)

    assert storage.claim() is not None


def test_nobody_waits_longer_than_the_cap(storage: StorageFixture) -> None:
    _let_in(storage, "Hi", OPEN)
    storage.do("update conversations set waiting_since = now() - interval '95 seconds'")
    _let_in(storage, "and", OPEN)

    assert _due_in(storage) == 5


def test_what_was_written_long_before_is_no_piece_of_it(storage: StorageFixture) -> None:
    _let_in(storage, "Hi", OPEN)
    storage.do("update conversations set newest_at = now() - interval '9 seconds'")
    _let_in(storage, "when do you open?", ENDED)

    assert storage.claim() is not None


@pytest.mark.parametrize(
    ("said", "ago", "due_in"),
    [
        ("Which size?", "1 minute", 0),
        ("Which size? 🙂", "1 minute", 0),
        ("أي مقاس؟", "1 minute", 0),
        ("It is on its way.", "1 minute", 30),
        ("Which size? Tell me and I order it today.", "1 minute", 30),
        ("Which size?", "2 hours", 30),
    ],
)
def test_an_answer_to_the_bots_question_is_whole(storage: StorageFixture, said: str, ago: str, due_in: int) -> None:
    _let_in(storage, "A jacket, please.", ENDED)
    storage.answered(answer=said, parts=[said])
    storage.do(f"update turns set finished_at = now() - interval '{ago}'")
    storage.do("update conversations set newest_at = now() - interval '1 minute'")
    _let_in(storage, "Medium.", STATEMENT)

    assert _due_in(storage) == due_in


@pytest.mark.parametrize(
    ("before", "due_in"),
    [
        (["where is it", "when do you open", "do you have one"], 0),
        (["where is it", "when do you open"], 10),
        (["where is it?", "When do you open?", "do you have one"], 10),
        (["a", "b", "c", "d", "e."], 0),
    ],
)
def test_a_missing_mark_says_nothing_of_somebody_who_never_makes_one(storage: StorageFixture, before: list[str], due_in: int) -> None:
    for text in before:
        _let_in(storage, text, ENDED)
    storage.do("update conversations set ready_at = now()")
    storage.answered(answer="Yes.")
    storage.do("update conversations set newest_at = now() - interval '1 minute'")
    _let_in(storage, "how much is it", UNMARKED)

    assert _due_in(storage) == due_in


def test_more_that_comes_while_the_model_works_goes_into_the_same_turn(storage: StorageFixture) -> None:
    _let_in(storage, "Do you ship to Norway?", ENDED)
    claim = storage.claimed()
    _let_in(storage, "and to Iceland", OPEN)

    with pytest.raises(Superseded):
        storage.finish(claim, takes_more=True, calls=[_a_call(0.5)], facts=[])
    assert storage.claim() is None
    assert _due_in(storage) == 30
    storage.do("update conversations set ready_at = now()")
    again = storage.claimed()
    assert storage.finish(again, takes_more=True, calls=[_a_call(0.25)]) is not None

    assert (again.turn, [message.text for message in again.messages]) == (claim.turn, ["Do you ship to Norway?", "and to Iceland"])
    assert storage.value("select count(*) from outbox") == 1
    assert [row[0] for row in storage.rows("select cost from model_calls order by attempt")] == [0.5, 0.25]
    assert storage.rows("select state, reason, tries from turns") == [("answered", None, 0)]


def test_pieces_that_follow_a_dropped_answer_are_waited_for_like_others_and_a_command_is_not(storage: StorageFixture) -> None:
    _let_in(storage, "Do you ship to Norway?", ENDED)
    claim = storage.claimed()
    _let_in(storage, "and to Iceland", OPEN)
    with pytest.raises(Superseded):
        storage.finish(claim, takes_more=True)

    _let_in(storage, "How long does it take?", ENDED)
    assert _due_in(storage) == 20
    storage.let_in(a_message("/stop", reply_at_once=True), debounce_s=10, cap_s=100)
    assert len(storage.claimed().messages) == 4


def test_an_answer_that_is_put_off_twice_by_a_lost_connection_is_put_off_once(storage: StorageFixture) -> None:
    _let_in(storage, "Do you ship to Norway?", ENDED)
    claim = storage.claimed()
    _let_in(storage, "and to Iceland", OPEN)

    for _ in range(2):
        with pytest.raises(Superseded):
            storage.finish(claim, takes_more=True, calls=[_a_call(0.5)])

    assert storage.value("select count(*) from model_calls") == 1


@pytest.mark.parametrize("more", [{"takes_more": True}, {"state": "retry", "answer": None, "parts": []}])
def test_the_call_of_a_turn_whose_message_is_edited_meanwhile_is_paid_once(storage: StorageFixture, more: dict[str, Any]) -> None:
    _let_in(storage, "A table for 8", ENDED, key="wamid.1")
    claim = storage.claimed()
    storage.let_in(an_edit("wamid.1", "A table for 9"))

    for _ in range(2):
        with suppress(Superseded):
            assert storage.finish(claim, calls=[_a_call(0.5)], **more) is None

    assert [row[0] for row in storage.rows("select cost from model_calls")] == [0.5]
    assert storage.value("select count(*) from outbox") == 0


def test_what_comes_long_after_is_the_next_turn(storage: StorageFixture) -> None:
    _let_in(storage, "Do you ship to Norway?", ENDED)
    claim = storage.claimed()
    storage.do("update inbox set received_at = now() - interval '9 seconds'")
    _let_in(storage, "Are you there?", OPEN)

    assert storage.finish(claim, takes_more=True) is not None
    storage.do("update conversations set ready_at = now()")
    assert [message.text for message in storage.claimed().messages] == ["Are you there?"]


def test_an_answer_that_takes_nothing_more_leaves_at_once(storage: StorageFixture) -> None:
    _let_in(storage, "Do you ship to Norway?", ENDED)
    claim = storage.claimed()
    _let_in(storage, "and to Iceland", OPEN)

    assert storage.finish(claim) is not None
