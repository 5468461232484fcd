"""Edits and unsends of what was answered already: history, notes, memories, stored prompts and bodies follow."""

from __future__ import annotations

import pytest

from bots.domain import Fact, InboundEvent
from bots.storage import summaries
from tests.support.changes import a_call, an_edit, an_unsend, history, memories, says, talked
from tests.support.storage_fixture import StorageFixture

# History and prompts


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

    facts = [Fact(kind="name", value="Anna", topic=""), Fact(kind="likes", value="tea")]
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

    storage.let_in(an_edit("w1", "I am Ann", facts=[Fact(kind="name", value="Ann", topic="")]))

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
