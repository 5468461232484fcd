"""Edits and unsends find their message, before it was answered and afterwards: history, notes, memories, prompts, pictures and bodies follow."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from bots.domain import EventKind, Fact, Identity, InboundEvent, MediaReference
from bots.errors import Fenced
from bots.storage import summaries
from bots.storage.turns import ModelCall, NewFact
from tests.support.storage_fixture import StorageFixture, a_message, a_phone

ADA, BOB = a_phone("34600111222"), a_phone("34600333444")
NOW = datetime.now(UTC)


def an_edit(target: str, text: str | None, *, by: Identity = ADA, n: int = 1, facts: Sequence[Fact] = (), **more: Any) -> InboundEvent:
    return InboundEvent(
        kind=EventKind.EDIT,
        event_key=f"edit:{target}:{n}",
        identities=(by,),
        text=text,
        target=target,
        supported=False,
        facts=tuple(facts),
        **({"occurred_at": NOW + timedelta(seconds=n)} | more),
    )


def an_unsend(target: str, *, by: Identity = ADA, key: str = "") -> InboundEvent:
    return InboundEvent(kind=EventKind.REVOKE, event_key=f"revoke:{key}{target}", identities=(by,), target=target, supported=False)


def says(text: str, key: str, *, by: Identity = ADA, **more: Any) -> InboundEvent:
    return a_message(text, key=key, by=(by,), **more)


def a_call(*said: str) -> ModelCall:
    return ModelCall(
        attempt=1, endpoint="e", model="m", outcome="ok", tokens_in=5, prompt=[{"role": "user", "content": one} for one in said]
    )


def name(text: str, source: UUID) -> NewFact:
    return NewFact(kind="name", text=text, single=True, source=source)


def talked(storage: StorageFixture, *messages: InboundEvent, facts: Sequence[str] = (), **result: Any) -> None:
    """Let these messages in as one turn, and answer them."""
    storage.let_in(*messages)
    claim = storage.claimed()
    asked = "\n".join(message.text or "" for message in claim.messages)
    known = [name(one, claim.messages[0].id) for one in facts]
    storage.finish(claim, **({"asked": asked, "facts": known, "calls": [a_call(asked)]} | result))


def history(storage: StorageFixture) -> list[tuple[str, str]]:
    """What the next prompt repeats."""
    storage.let_in(a_message("and now?", by=(ADA,)))
    return [(past.asked, past.answer) for past in storage.claimed().history]


def memories(storage: StorageFixture) -> list[Any]:
    return storage.rows("select text, valid_to is null from memories order by created_at, text")


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
    storage.let_in(says("my code is 7714", "w1"), an_unsend("w1"), an_edit("w1", "my code is 7715"))

    assert storage.claim() is None
    assert storage.value("select count(*) from inbox where text is not null") == 0


def test_an_edit_gives_words_to_what_could_not_be_read(storage: StorageFixture) -> None:
    storage.let_in(InboundEvent(kind=EventKind.MESSAGE, event_key="w1", identities=(ADA,), content_type="document", supported=False))

    storage.let_in(an_edit("w1", "is it valid?"))

    (message,) = storage.claimed().messages
    assert (message.text, message.supported, message.content_type) == ("is it valid?", True, "document")


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


# After the answer


def test_later_prompts_tell_the_new_words(storage: StorageFixture) -> None:
    talked(storage, says("a table for 3", "w1"), says("at noon", "w2"))

    storage.let_in(an_edit("w1", "a table for 8"))

    assert history(storage) == [("a table for 8\nat noon", "hello")]


def test_what_was_taken_back_leaves_a_turn_and_the_rest_stays(storage: StorageFixture) -> None:
    talked(storage, says("my code is 7714", "w1"), says("/memory", "w2"), says("at noon", "w3"))

    storage.let_in(an_unsend("w1"))

    assert history(storage) == [("at noon", "hello")]


def test_a_turn_of_which_nothing_is_left_leaves_the_history_and_sends_nothing_more(storage: StorageFixture) -> None:
    talked(storage, says("my code is 7714", "w1"), parts=["one", "two"])

    storage.let_in(an_unsend("w1"), an_unsend("w1", key="again:"))

    assert history(storage) == []
    assert storage.rows("select part, status, reason from outbox order by part") == [(1, "sending", None), (2, "failed", "unsent")]


def test_what_was_forgotten_does_not_come_back_by_an_edit(storage: StorageFixture) -> None:
    talked(storage, says("a table for 3", "w1"))
    storage.let_in(says("/forget", "w2"))
    storage.finish(storage.claimed(), in_history=False, drop_summary=True, history_from=3)

    storage.let_in(an_edit("w1", "a table for 8"))

    assert storage.rows("select in_history from turns") == [(False,), (False,)]


def test_no_stored_prompt_since_then_has_what_was_taken_back(storage: StorageFixture) -> None:
    talked(storage, says("hello", "w0"))
    talked(storage, says("my code is 7714", "w1"))
    talked(storage, says("and?", "w2"), calls=[a_call("my code is 7714", "and?")])

    storage.let_in(an_unsend("w1"))

    assert storage.rows("select prompt from model_calls order by created_at") == [([{"role": "user", "content": "hello"}],), ([],), ([],)]
    assert storage.rows("select tokens_in from model_calls") == [(5,)] * 3


def test_a_quotation_of_what_was_taken_back_goes_too(storage: StorageFixture) -> None:
    talked(storage, says("my code is 7714", "w1"))
    storage.let_in(says("is that right?", "w2", quoted="w1"))
    claim = storage.claimed()
    storage.finish(claim, asked='(in reply to: "my code is 7714")\nis that right?')

    storage.let_in(an_unsend("w1"))

    assert claim.messages[0].quoted == "my code is 7714"
    assert history(storage) == [("is that right?", "hello")]


def test_a_body_that_waits_for_an_operator_is_kept(storage: StorageFixture) -> None:
    storage.let_in(says("my code is 7714", "w1"), quarantine="not understood")

    storage.let_in(an_unsend("w1"))

    assert storage.rows("select state, body is null from envelopes order by received_at, state") == [
        ("quarantined", False),
        ("parsed", True),
    ]


# Memories


def test_what_was_remembered_from_it_is_erased_and_what_it_replaced_comes_back(storage: StorageFixture) -> None:
    talked(storage, says("I am Ann", "w1"), facts=["Ann"])
    talked(storage, says("I am Baltasar", "w2"), facts=["Baltasar"])
    before = memories(storage)

    storage.let_in(an_unsend("w2"))

    assert before == [("Ann", False), ("Baltasar", True)]
    assert memories(storage) == [("Ann", True)]


def test_an_erased_memory_between_two_others_leaves_the_newest_valid(storage: StorageFixture) -> None:
    for key, text in (("w1", "Ann"), ("w2", "Baltasar"), ("w3", "Cy")):
        talked(storage, says(f"I am {text}", key), facts=[text])

    storage.let_in(an_unsend("w2"))
    between = memories(storage)
    storage.let_in(an_unsend("w3"))

    assert between == [("Ann", False), ("Cy", True)]
    assert memories(storage) == [("Ann", True)]


def test_two_memories_of_one_message_go_together(storage: StorageFixture) -> None:
    talked(storage, says("I am Ann", "w1"), facts=["Ann"])
    talked(storage, says("I am Bo, no, Cy", "w2"), facts=["Bo", "Cy"])

    storage.let_in(an_unsend("w2"))

    assert memories(storage) == [("Ann", True)]


def test_an_edit_is_remembered_in_place_of_the_old_words(storage: StorageFixture) -> None:
    talked(storage, says("I am Ann", "w1"), facts=["Ann"])
    talked(storage, says("call me Rosa", "w2"), facts=["Rosa"])

    facts = [Fact(kind="name", value="Anna", single=True), Fact(kind="likes", value="tea")]
    storage.let_in(an_edit("w1", "I am Anna and I like tea", facts=facts))

    assert sorted(memories(storage)) == [("Anna", False), ("Rosa", True), ("tea", True)]
    assert storage.value("select count(distinct source_inbox_id) from memories where text in ('Anna', 'tea')") == 1


def test_an_edit_that_states_nothing_is_remembered_as_nothing(storage: StorageFixture) -> None:
    talked(storage, says("I am Ann", "w1"), facts=["Ann"])

    storage.let_in(an_edit("w1", "who is Ann?"))

    assert memories(storage) == []


@pytest.mark.parametrize("reason", ["off", "stopped"])
def test_nothing_new_is_remembered_where_nothing_may_be(storage: StorageFixture, reason: str) -> None:
    talked(storage, says("hello", "w1"))
    if reason == "off":
        with storage.web.begin() as connection:
            connection.exec_driver_sql("update bots set memory_on = false")
    else:
        storage.do("update contacts set stopped_at = now()")

    storage.let_in(an_edit("w1", "I am Ann", facts=[Fact(kind="name", value="Ann", single=True)]))

    assert memories(storage) == []


def test_an_answered_message_that_becomes_a_wish_to_stop_stops(storage: StorageFixture) -> None:
    talked(storage, says("sotp", "w1"))

    storage.let_in(an_edit("w1", "/stop", stops=True))

    assert storage.value("select stopped_at is not null from contacts")


# Notes


def _noted(storage: StorageFixture) -> None:
    for key in ("w1", "w2", "w3"):
        talked(storage, says(f"words of {key}", key))
    storage.do("update conversations set summary = 'They said words of w1 and w2.', summary_until = 2")


@pytest.mark.parametrize("change", [an_unsend("w1"), an_edit("w1", "other words")])
def test_notes_are_made_anew_from_what_is_left(storage: StorageFixture, change: InboundEvent) -> None:
    _noted(storage)

    storage.let_in(change)
    claimed = summaries.claim(storage.crossing, "batch.default", lease_s=60)

    assert storage.value("select summary from conversations") is None
    assert claimed is not None
    kept = [] if change.text is None else [change.text]
    assert (claimed.until, [turn.asked for turn in claimed.turns]) == (2, [*kept, "words of w2"])


def test_notes_on_other_turns_stay(storage: StorageFixture) -> None:
    _noted(storage)

    storage.let_in(an_unsend("w3"))

    assert storage.rows("select summary, summary_until, summarise_at from conversations") == [("They said words of w1 and w2.", 2, None)]


def test_notes_that_are_being_made_are_fenced_and_their_prompt_is_not_stored(storage: StorageFixture) -> None:
    _noted(storage)
    storage.do("update conversations set summarise_at = now(), summarise_to = 3")
    running = summaries.claim(storage.crossing, "batch.default", lease_s=60)
    assert running is not None

    storage.let_in(an_unsend("w3"))

    assert not summaries.finish(storage.worker, running, "words of w3", until=3, calls=[a_call("words of w3")])
    assert storage.rows("select prompt from model_calls where outcome = 'summary'") == [([],)]


def test_notes_that_are_made_anew_never_go_back_beyond_a_new_beginning(storage: StorageFixture) -> None:
    talked(storage, says("long ago", "w0"))
    storage.let_in(says("/reset", "r"), says("new talk", "w1"))
    storage.finish(storage.claimed(), asked="new talk", drop_summary=True, history_from=2)
    talked(storage, says("more", "w2"))
    storage.do("update conversations set summary = 'new talk', summary_until = 2")

    storage.let_in(an_edit("w1", "newer talk"))
    claimed = summaries.claim(storage.crossing, "batch.default", lease_s=60)

    assert claimed is not None
    assert [turn.asked for turn in claimed.turns] == ["newer talk"]


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
