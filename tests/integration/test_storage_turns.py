"""Messages become turns: once, in order, covered to the last, and only by whoever holds the lease."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from bots.domain import EventKind, InboundEvent
from bots.errors import Fenced
from bots.storage import claims, exports
from bots.storage.database import hot
from bots.storage.turns import ModelCall, NewFact
from tests.support.storage_fixture import QUEUE, StorageFixture, a_bsuid, a_message, a_phone


def waiting(storage: StorageFixture) -> list[claims.Waiting]:
    """What the dispatcher sees while a worker lives."""
    claims.heartbeat(storage.crossing, "w", boot=storage.boot, queues=[QUEUE], slots=4, busy=0)
    return claims.waiting(storage.crossing, reserve=0)


def test_a_waiting_conversation_is_seen_by_the_dispatcher_until_it_is_claimed(storage: StorageFixture) -> None:
    storage.let_in(a_message())
    due = waiting(storage)
    storage.claimed()

    assert (due, waiting(storage)) == ([claims.Waiting(queue=QUEUE, due=1, running=0, slots=4)], [])


def test_a_second_delivery_of_the_same_message_changes_nothing(storage: StorageFixture) -> None:
    message = a_message("hello", key="wamid.1")

    storage.let_in(message)
    storage.let_in(message, message)

    assert storage.value("select count(*) from inbox") == 1
    assert storage.value("select count(*) from envelopes") == 1


def test_quick_messages_become_one_turn(storage: StorageFixture) -> None:
    storage.let_in(a_message("one"))
    storage.let_in(a_message("two"), a_message("three"))

    assert [message.text for message in storage.claimed().messages] == ["one", "two", "three"]


def test_a_message_waits_for_its_debounce_and_no_longer_than_the_cap(storage: StorageFixture) -> None:
    storage.let_in(a_message(), debounce_s=30, cap_s=60)
    assert storage.claim() is None

    storage.let_in(a_message(), debounce_s=30, cap_s=0)
    assert storage.claim() is not None


def test_a_button_is_answered_at_once(storage: StorageFixture) -> None:
    storage.let_in(a_message("Yes", reply_at_once=True), debounce_s=30, cap_s=60)

    assert storage.claim() is not None


def test_a_conversation_is_claimed_by_one_worker_at_a_time(storage: StorageFixture) -> None:
    storage.let_in(a_message())
    storage.claimed()
    storage.let_in(a_message("meanwhile"))

    assert storage.claim() is None


def test_what_arrives_while_the_model_works_is_the_next_turn(storage: StorageFixture) -> None:
    storage.let_in(a_message("first"))
    claim = storage.claimed()
    storage.let_in(a_message("second"))
    storage.finish(claim)

    later = storage.claimed()

    assert ([message.text for message in later.messages], later.number) == (["second"], 2)


def test_after_the_last_answer_nothing_is_due(storage: StorageFixture) -> None:
    storage.let_in(a_message())
    storage.answered()

    assert storage.claim() is None
    assert waiting(storage) == []


def test_a_lease_that_ran_out_passes_on_and_fences_its_former_holder(storage: StorageFixture) -> None:
    storage.let_in(a_message())
    frozen = storage.claimed(lease_s=0)
    other = storage.claimed(boot=uuid4())

    with pytest.raises(Fenced):
        storage.finish(frozen)
    assert storage.finish(other) is not None
    assert storage.value("select count(*) from outbox") == 1


def _asked(endpoint: str, *, cost: float | None, attempt: int = 1) -> ModelCall:
    paid: dict[str, Any] = {} if cost is None else {"tokens_in": 9, "tokens_out": 9, "total_ms": 100.0, "cost": cost}
    outcome = "ok" if paid else "ModelUnavailable"
    return ModelCall(attempt=attempt, endpoint=endpoint, model="m", prompt=[{"role": "user", "content": "hi"}], outcome=outcome, **paid)


def _recorded(storage: StorageFixture) -> list[tuple[str, float, bool]]:
    return [tuple(row) for row in storage.rows("select endpoint, cost, prompt <> '[]' from model_calls order by attempt")]


def test_what_a_fenced_turn_asked_is_paid_for_once_and_without_its_words(storage: StorageFixture) -> None:
    storage.let_in(a_message())
    frozen = storage.claimed(lease_s=0)
    other = storage.claimed(boot=uuid4())
    calls = [_asked("gpu-1", cost=None), _asked("house", cost=0.3, attempt=2)]
    for _ in range(2):
        with pytest.raises(Fenced):
            storage.finish(frozen, calls=calls)
    storage.finish(other, calls=[_asked("hosted", cost=0.5)])
    with pytest.raises(Fenced):
        storage.finish(frozen, calls=calls)

    assert _recorded(storage) == [("house", 0.3, False), ("hosted", 0.5, True)]


def test_a_turn_that_is_fenced_when_it_repeats_its_own_commit_pays_once(storage: StorageFixture) -> None:
    storage.let_in(a_message())
    claim = storage.claimed()
    waits: dict[str, Any] = {"state": "wait", "parts": [], "answer": None, "retry_s": 0, "calls": [_asked("house", cost=0.3)]}
    storage.finish(claim, **waits)
    # Its commit's answer was lost on the way, and somebody else has the turn when it asks again.
    storage.claimed(boot=uuid4())
    with pytest.raises(Fenced):
        storage.finish(claim, **waits)

    assert _recorded(storage) == [("house", 0.3, True)]


def test_a_lease_that_ran_out_is_not_revived(storage: StorageFixture) -> None:
    storage.let_in(a_message())
    claim = storage.claimed(lease_s=0)

    assert claims.renew(storage.crossing, [claim.conversation], boot=storage.boot, lease_s=60) == 0


def test_a_restarted_worker_frees_the_leases_of_its_former_self(storage: StorageFixture) -> None:
    claims.heartbeat(storage.crossing, "a", boot=storage.boot, queues=["q"], slots=1, busy=0)
    storage.let_in(a_message())
    storage.claimed()

    freed = claims.heartbeat(storage.crossing, "a", boot=uuid4(), queues=["q"], slots=1, busy=0, first=True)

    assert (freed, storage.claim() is not None) == (1, True)


def test_a_finish_whose_answer_was_lost_is_safe_to_repeat(storage: StorageFixture) -> None:
    storage.let_in(a_message())
    claim = storage.claimed()

    first, again = storage.finish(claim), storage.finish(claim)

    assert (first and first.attempt) == (again and again.attempt)
    assert storage.value("select count(*) from send_attempts") == 1


def test_a_turn_that_waits_for_the_model_covers_what_came_meanwhile(storage: StorageFixture) -> None:
    storage.let_in(a_message("first"))
    storage.finish(storage.claimed(), state="wait", parts=[], answer=None, retry_s=0)
    storage.let_in(a_message("second"))

    claim = storage.claimed()

    assert ([message.text for message in claim.messages], claim.number, claim.tries) == (["first", "second"], 1, 0)


def test_an_error_of_our_own_is_counted_and_comes_back_later(storage: StorageFixture) -> None:
    storage.let_in(a_message())
    storage.finish(storage.claimed(), state="retry", parts=[], answer=None, retry_s=30)
    assert storage.claim() is None

    storage.do("update conversations set ready_at = now()")

    assert storage.claimed().tries == 1


def test_a_dead_turn_does_not_stop_the_conversation(storage: StorageFixture) -> None:
    storage.let_in(a_message("poison"))
    storage.finish(storage.claimed(), state="dead", parts=[], answer=None, reason="error:X")
    storage.let_in(a_message("fine"))

    assert [message.text for message in storage.claimed().messages] == ["fine"]


def test_history_tells_what_was_said_before_and_leaves_commands_out(storage: StorageFixture) -> None:
    storage.let_in(a_message("one"))
    storage.answered(asked="one", answer="first answer")
    storage.let_in(a_message("/memory"))
    storage.finish(storage.claimed(), answer=None, in_history=False)
    storage.let_in(a_message("two"))

    history = storage.claimed().history

    assert [(past.asked, past.answer) for past in history] == [("one", "first answer")]


def _said(storage: StorageFixture, text: str, **result: object) -> None:
    """A message and its answer."""
    storage.let_in(a_message(text))
    sending = storage.finish(storage.claimed(), asked=text, answer="yes", **result)
    assert sending is not None
    storage.end(sending)


def _exported(storage: StorageFixture) -> list[str]:
    with hot(storage.crossing) as connection:
        return [turn.asked for talk in exports.talks(connection, tenant=storage.account.tenant_id, days=9, limit=9) for turn in talk.turns]


def test_what_a_contact_wants_forgotten_is_exported_no_more_than_it_is_told(storage: StorageFixture) -> None:
    _said(storage, "an older talk", close=True)
    _said(storage, "my secret")
    _said(storage, "/forget", in_history=False, history_from=3, drop_summary=True)
    _said(storage, "something new")
    storage.let_in(a_message("and then?"))

    assert [past.asked for past in storage.claimed().history] == ["something new"]
    assert _exported(storage) == ["something new"]


def test_what_one_contact_wants_forgotten_stays_with_the_others(storage: StorageFixture) -> None:
    storage.let_in(a_message("mine", by=(a_phone("34600000009"),)))
    storage.answered(asked="mine", answer="yes")
    _said(storage, "my secret")
    _said(storage, "/forget", in_history=False, history_from=3, drop_summary=True)

    assert _exported(storage) == ["mine"]


def test_a_talk_that_ends_is_exported_all_the_same_and_its_last_words_are_still_to_be_summarised(storage: StorageFixture) -> None:
    _said(storage, "the old talk")
    # /reset with words behind it: the turn is the first of the new talk.
    _said(storage, "the new talk", history_from=2, drop_summary=True)

    assert _exported(storage) == ["the old talk", "the new talk"]
    assert storage.value("select summary_until from conversations") == 1


def test_a_newer_value_of_a_single_kind_supersedes_and_the_old_row_stays(storage: StorageFixture) -> None:
    for name in ("Marta", "Ana"):
        storage.let_in(a_message(f"I am {name}"))
        claim = storage.claimed()
        storage.finish(claim, facts=[NewFact(kind="name", text=name, topic="", source=claim.messages[0].id)])

    rows = storage.rows("select text, valid_to is null, superseded_by is not null from memories order by created_at")

    assert [tuple(row) for row in rows] == [("Marta", False, True), ("Ana", True, False)]


def test_a_memory_is_new_until_the_next_session_of_talk(storage: StorageFixture) -> None:
    storage.let_in(a_message("I am Marta"))
    claim = storage.claimed()
    storage.finish(claim, facts=[NewFact(kind="name", text="Marta", topic="", source=claim.messages[0].id)])
    storage.let_in(a_message("and now"))
    same_session = storage.claimed()
    storage.finish(same_session, close=True)
    storage.let_in(a_message("a new talk"))

    next_session = storage.claimed()

    assert [(memory.text, memory.is_new) for memory in (*same_session.memories, *next_session.memories)] == [
        ("Marta", True),
        ("Marta", False),
    ]


def test_what_comes_while_a_talk_is_closed_opens_the_next_one(storage: StorageFixture) -> None:
    storage.let_in(a_message("/reset"))
    claim = storage.claimed()
    storage.let_in(a_message("hello again"))
    storage.finish(claim, close=True)

    later = storage.claimed()

    assert later.conversation != claim.conversation
    assert [message.text for message in later.messages] == ["hello again"]


def test_a_notice_that_names_both_joins_two_contacts(storage: StorageFixture) -> None:
    storage.let_in(a_message("by phone", by=(a_phone(),)))
    storage.let_in(a_message("by id", by=(a_bsuid(),)))
    storage.let_in(_notice())

    claim = storage.claimed()

    assert storage.value("select count(*) from contacts") == 1
    assert sorted(message.text or "" for message in claim.messages) == ["by id", "by phone"]
    assert {handle.kind for handle in claim.identities} == {"bsuid"}


def test_joining_fences_the_running_turn_of_the_other_contact(storage: StorageFixture) -> None:
    storage.let_in(a_message("by phone", by=(a_phone(),)))
    storage.answered()
    storage.let_in(a_message("by id", by=(a_bsuid(),)))
    running = storage.claimed()
    storage.let_in(_notice())

    with pytest.raises(Fenced):
        storage.finish(running)
    assert [message.text for message in storage.claimed().messages] == ["by id"]


def _notice() -> InboundEvent:
    """The platform says that whoever had the phone has this id now."""
    return InboundEvent(kind=EventKind.SYSTEM, event_key="notice", identities=(a_bsuid(),), previous=(a_phone(),))


def test_a_paused_account_takes_messages_in_and_answers_none(storage: StorageFixture) -> None:
    storage.do("select 1")
    storage.let_in(a_message())
    with storage.web.begin() as connection:
        connection.exec_driver_sql("update accounts set state = 'paused'")

    assert (storage.claim(), waiting(storage), storage.value("select count(*) from inbox")) == (None, [], 1)


def test_the_freshest_talk_goes_first_once_a_backlog_is_old(storage: StorageFixture) -> None:
    for number in ("1", "2", "3"):
        storage.let_in(a_message(number, by=(a_phone(number),)))
    storage.do("update conversations set ready_at = now() - interval '10 minutes'")
    storage.do(
        "update conversations set ready_at = ready_at + interval '1 minute' where id = (select conversation_id from inbox where text = '2')"
    )
    storage.let_in(a_message("fresh", by=(a_phone("4"),)))

    order = [storage.claimed().messages[0].text for _ in range(4)]

    assert order[:2] == ["fresh", "2"]


def test_old_messages_say_how_old_they_are(storage: StorageFixture) -> None:
    storage.let_in(a_message(occurred_at=datetime.fromtimestamp(1_700_000_000, UTC)))

    assert storage.claimed().messages[0].age_s > 86400
