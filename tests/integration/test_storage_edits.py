"""Edits and unsends find their message in whatever order they come: a waiting turn answers the new words, and nothing of what was taken back."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor

import pytest

from bots.domain import EventKind, InboundEvent, MediaReference
from bots.errors import Fenced
from tests.support.changes import ADA, BOB, a_call, an_edit, an_unsend, memories, says, talked
from tests.support.storage_fixture import StorageFixture, a_phone

# Before the answer


@pytest.mark.parametrize("first", ["message", "edit"])
def test_the_new_words_are_answered_in_whatever_order_they_come(storage: StorageFixture, first: str) -> None:
    events = [says("a table for 3", "w1"), an_edit("w1", "a table for 8")]
    for event in events if first == "message" else reversed(events):
        storage.let_in(event)

    assert [message.text for message in storage.claimed().messages] == ["a table for 8"]
    assert storage.rows("select kind, text from inbox where text is not null") == [("message", "a table for 8")]


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_of_several_edits_the_newest_holds(storage: StorageFixture, order: tuple[int, int]) -> None:
    storage.let_in(says("one", "w1"))
    for n in order:
        storage.let_in(an_edit("w1", f"edit {n}", n=n))

    assert storage.claimed().messages[0].text == "edit 2"


def test_edits_that_came_before_their_message_hold_in_the_order_of_the_platform(storage: StorageFixture) -> None:
    storage.let_in(an_edit("w1", "edit 2", n=2), an_edit("w1", "edit 1", n=1))
    storage.let_in(says("one", "w1"))

    assert storage.claimed().messages[0].text == "edit 2"


@pytest.mark.parametrize("first", ["message", "unsend"])
def test_what_was_taken_back_is_not_answered_in_whatever_order_it_comes(storage: StorageFixture, first: str) -> None:
    picture = MediaReference(kind="image", reference="https://cdn.example/secret")
    events = [says("my code is 7714", "w1", media=(picture,)), an_unsend("w1")]
    for event in events if first == "message" else reversed(events):
        storage.let_in(event)

    assert storage.claim() is None
    assert storage.rows("select kind, text from inbox where event_key = 'w1'") == [("unsent", None)]
    assert storage.value("select count(*) from media") == 0
    assert storage.value("select count(*) from envelopes where body is not null") == 0
    assert storage.rows("select ready_at, waiting_since from conversations") == [(None, None)]


def test_what_is_left_is_answered(storage: StorageFixture) -> None:
    storage.let_in(says("my code is 7714", "w1"), says("are you open?", "w2"), an_unsend("w1"))

    assert [message.text for message in storage.claimed().messages] == ["are you open?"]


def test_an_edit_of_what_was_taken_back_leaves_nothing(storage: StorageFixture) -> None:
    for event in (says("my code is 7714", "w1"), an_unsend("w1"), an_edit("w1", "my code is 7715")):
        storage.let_in(event)

    assert storage.claim() is None
    assert storage.value("select count(*) from inbox where text is not null") == 0
    assert storage.value("select count(*) from envelopes where body is not null") == 0


def test_an_edit_gives_words_to_what_could_not_be_read(storage: StorageFixture) -> None:
    storage.let_in(InboundEvent(kind=EventKind.MESSAGE, event_key="w1", identities=(ADA,), content_type="document", supported=False))

    storage.let_in(an_edit("w1", "is it valid?"))

    (message,) = storage.claimed().messages
    assert (message.text, message.supported, message.content_type) == ("is it valid?", True, "document")


@pytest.mark.parametrize("first", ["message", "unsend"])
def test_our_copy_of_what_another_app_was_to_answer_goes_too(storage: StorageFixture, first: str) -> None:
    told = InboundEvent(kind=EventKind.STANDBY, event_key="standby:w1", identities=(ADA,), text="my code is 7714", supported=False)
    events = [told, an_unsend("w1")]
    for event in events if first == "message" else reversed(events):
        storage.let_in(event)

    assert storage.value("select count(*) from inbox where text is not null") == 0
    assert storage.value("select count(*) from envelopes where body is not null") == 0
    assert storage.claim() is None


@pytest.mark.parametrize("text", ["a table for 8", None])
def test_a_change_that_comes_at_the_same_moment_as_its_message_holds(storage: StorageFixture, text: str | None) -> None:
    keys = [f"w{n}" for n in range(30)]
    people = [(a_phone(f"346{n:08d}")) for n in range(len(keys))]
    changes = [an_unsend(key, by=who) if text is None else an_edit(key, text, by=who) for key, who in zip(keys, people, strict=True)]
    messages = [says("a table for 3", key, by=who) for key, who in zip(keys, people, strict=True)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(storage.let_in, itertools.chain(*zip(messages, changes, strict=True))))

    assert storage.rows("select distinct text from inbox where event_key like 'w%%'") == [(text,)]


# While it is being answered


def test_an_edit_fences_a_running_turn_which_asks_again(storage: StorageFixture) -> None:
    storage.let_in(says("a table for 3", "w1"))
    running = storage.claimed()

    storage.let_in(an_edit("w1", "a table for 8"))
    with pytest.raises(Fenced):
        storage.finish(running, asked="a table for 3", calls=[a_call("a table for 3")])
    again = storage.claimed()

    assert (again.turn, again.number, [message.text for message in again.messages]) == (running.turn, 1, ["a table for 8"])
    assert storage.rows("select prompt, tokens_in from model_calls") == [([], 5)]


def test_a_fenced_turn_waits_as_long_as_after_a_message(storage: StorageFixture) -> None:
    storage.let_in(says("a table for 3", "w1"))
    storage.claimed()

    storage.let_in(an_edit("w1", "a table for 8"), debounce_s=60.0)

    assert storage.claim() is None
    assert storage.value("select ready_at > now() + interval '50 s' from conversations")


def test_an_edit_that_changes_no_word_fences_nobody(storage: StorageFixture) -> None:
    storage.let_in(says("a table for 3", "w1"))
    running = storage.claimed()

    storage.let_in(an_edit("w1", "a table for 3"))

    assert storage.finish(running) is not None


def test_a_turn_of_which_nothing_is_left_is_skipped(storage: StorageFixture) -> None:
    storage.let_in(says("my code is 7714", "w1"))
    running = storage.claimed()

    storage.let_in(an_unsend("w1"))
    with pytest.raises(Fenced):
        storage.finish(running)

    assert storage.claim() is None
    assert storage.rows("select state, reason from turns") == [("skipped", "unsent")]
    assert storage.rows("select ready_at, leased_by from conversations") == [(None, None)]


def test_a_skipped_turn_leaves_what_came_meanwhile_to_the_next(storage: StorageFixture) -> None:
    storage.let_in(says("my code is 7714", "w1"))
    storage.claimed()
    storage.let_in(says("are you open?", "w2"))

    storage.let_in(an_unsend("w1"))

    claim = storage.claimed()
    assert (claim.number, [message.text for message in claim.messages]) == (2, ["are you open?"])


def test_an_unsend_fences_a_later_turn_that_has_it_in_its_history(storage: StorageFixture) -> None:
    talked(storage, says("my code is 7714", "w1"))
    storage.let_in(says("are you open?", "w2"))
    running = storage.claimed()

    storage.let_in(an_unsend("w1"))
    with pytest.raises(Fenced):
        storage.finish(running)

    assert storage.claimed().history == []


def test_a_turn_that_waits_for_its_model_reads_the_new_words_then(storage: StorageFixture) -> None:
    storage.let_in(says("a table for 3", "w1"))
    storage.finish(storage.claimed(), state="wait", parts=[], retry_s=0.0, reason="model_unavailable")

    storage.let_in(an_edit("w1", "a table for 8"))

    assert [message.text for message in storage.claimed().messages] == ["a table for 8"]


def test_a_person_who_answers_sees_the_new_words_and_is_not_disturbed(storage: StorageFixture) -> None:
    storage.let_in(says("a table for 3", "w1"), says("my code is 7714", "w2"))
    storage.do("select take_over(id, 'ana', null) from conversations")

    storage.let_in(an_edit("w1", "a table for 8"), an_unsend("w2"))
    storage.do("select answer_by_hand(id, 'ana', 'Fine', array['Fine'], gen_random_uuid()) from conversations")

    assert storage.rows("select asked, answer from turns") == [("a table for 8", "Fine")]
    assert storage.value("select taken_by from conversations") == "ana"


# Whose message it is


@pytest.mark.parametrize("change", [an_unsend("w1", by=BOB), an_edit("w1", "mine now", by=BOB), an_unsend("w9"), an_edit("w9", "what?")])
def test_a_message_of_somebody_else_or_of_nobody_is_not_changed(storage: StorageFixture, change: InboundEvent) -> None:
    storage.let_in(says("hello", "w1"))

    storage.let_in(change)

    assert [message.text for message in storage.claimed().messages] == ["hello"]
    assert storage.rows("select kind, edited_at from inbox where event_key = 'w1'") == [("message", None)]


def test_a_change_of_somebody_else_that_came_first_does_not_hold(storage: StorageFixture) -> None:
    storage.let_in(an_unsend("w1", by=BOB))
    storage.let_in(says("hello", "w1"))

    assert [message.text for message in storage.claimed().messages] == ["hello"]


def test_a_message_of_a_talk_that_was_closed_is_taken_back_too(storage: StorageFixture) -> None:
    talked(storage, says("I am Ann", "w1"), facts=["Ann"], close=True)
    storage.let_in(says("hello again", "w2"))
    running = storage.claimed()

    storage.let_in(an_unsend("w1"))

    with pytest.raises(Fenced):
        storage.finish(running)
    assert (memories(storage), storage.rows("select asked, in_history from turns where number = 1 and state = 'answered'")) == (
        [],
        [(None, False)],
    )
    assert storage.claimed().messages[0].text == "hello again"
