"""Who summarises which turns, what a failed try costs, and what is paid: against the database alone."""

from __future__ import annotations

from typing import Any

import pytest

from bots.storage import chat, figures, overview, summaries, turns
from bots.storage.database import hot, unit
from bots.storage.figures import Span
from bots.storage.summaries import SummaryClaim
from bots.storage.turns import ModelCall
from tests.support.storage_fixture import StorageFixture, a_message

_QUEUE = "batch.default"


def _call(outcome: str = "ok", *, took_ms: float = 2000.0) -> ModelCall:
    return ModelCall(
        attempt=1,
        endpoint="e",
        model="m",
        prompt=[{"role": "user", "content": "notes?"}],
        tokens_in=100,
        tokens_out=7,
        first_token_ms=1.0,
        total_ms=took_ms,
        outcome=outcome,
        cost=0.5,
    )


def _talk(storage: StorageFixture, count: int, **last: Any) -> None:
    """Let a talk have so many more turns."""
    for n in range(count):
        storage.let_in(a_message())
        result = {"asked": "hi", "calls": [_call(took_ms=1000.0)]} | (last if n == count - 1 else {})
        sending = storage.finish(storage.claimed(), **result)
        if sending is not None:
            storage.end(sending)


def _claimed(storage: StorageFixture) -> SummaryClaim:
    found = summaries.claim(storage.crossing, _QUEUE, lease_s=150)
    assert found is not None
    return found


def _state(storage: StorageFixture) -> tuple[Any, ...]:
    return tuple(
        storage.rows("select summary, summary_until, summarise_to, summarise_at is not null, summarise_tries from conversations")[0]
    )


def _numbers(claimed: SummaryClaim) -> list[int]:
    return [turn.number for turn in claimed.turns]


def test_what_a_failed_try_was_about_is_tried_again_with_growing_pauses_and_never_given_up(storage: StorageFixture) -> None:
    _talk(storage, 3, summarise_to=2)
    for tries, minutes in enumerate((1, 10, 60, 60), start=1):
        claimed = _claimed(storage)
        assert claimed.tries == tries - 1
        assert summaries.put_off(storage.worker, claimed, after_s=None, until=claimed.until, calls=())
        assert _state(storage) == (None, 0, 2, True, tries)
        assert storage.value("select round(extract(epoch from summarise_at - now()) / 60) from conversations") == minutes
        assert summaries.claim(storage.crossing, _QUEUE, lease_s=150) is None, "not at once"
        storage.do("update conversations set summarise_at = now()")
    _talk(storage, 2, summarise_to=4)
    claimed = _claimed(storage)

    assert _numbers(claimed) == [1, 2, 3, 4], "nothing is lost"
    assert all(turn.at is not None for turn in claimed.turns)
    assert summaries.finish(storage.worker, claimed, "they spoke", until=4, calls=())
    assert _state(storage) == ("they spoke", 4, None, False, 0)


def test_a_turn_is_claimed_with_all_earlier_ones_that_are_not_in_the_notes(storage: StorageFixture) -> None:
    _talk(storage, 4, summarise_to=3, history_from=4)
    storage.let_in(a_message())
    turn = storage.claimed()
    assert [past.number for past in turn.history] == [1, 2, 3, 4]
    assert all(past.at is not None for past in turn.history)
    storage.finish(turn, asked="hi")
    claimed = _claimed(storage)
    assert summaries.finish(storage.worker, claimed, "they spoke", until=2, calls=())
    storage.let_in(a_message())

    assert [past.number for past in storage.claimed().history] == [3, 4, 5]


def test_a_model_that_is_away_costs_no_try(storage: StorageFixture) -> None:
    _talk(storage, 3, summarise_to=2)
    claimed = _claimed(storage)
    assert summaries.put_off(storage.worker, claimed, after_s=60.0, until=claimed.until, calls=())

    assert _state(storage) == (None, 0, 2, True, 0)


def test_notes_of_a_part_are_kept_and_the_rest_is_due_at_once_with_them(storage: StorageFixture) -> None:
    _talk(storage, 5, summarise_to=4)
    claimed = _claimed(storage)
    assert summaries.finish(storage.worker, claimed, "the first two", until=2, calls=())
    again = _claimed(storage)

    assert (again.summary, _numbers(again), again.until) == ("the first two", [3, 4], 4)


def test_turns_that_fall_out_meanwhile_are_due_when_the_notes_are_written(storage: StorageFixture) -> None:
    _talk(storage, 3, summarise_to=2)
    claimed = _claimed(storage)
    _talk(storage, 3, summarise_to=5)
    assert summaries.claim(storage.crossing, _QUEUE, lease_s=150) is None, "one at a time"
    assert summaries.finish(storage.worker, claimed, "the first two", until=claimed.until, calls=())

    assert _numbers(_claimed(storage)) == [3, 4, 5]


@pytest.mark.parametrize("ends", ["forgets", "came too late"])
def test_notes_that_nobody_wants_any_more_are_not_written_and_paid_for_all_the_same(storage: StorageFixture, ends: str) -> None:
    _talk(storage, 3, summarise_to=2)
    claimed = _claimed(storage)
    if ends == "forgets":
        _talk(storage, 1, drop_summary=True, history_from=5)
    else:
        storage.do("update conversations set summarise_at = now()")
        _claimed(storage)
    for _ in range(2):
        # Once more, as a statement whose answer was lost.
        assert not summaries.finish(
            storage.worker, claimed, "they spoke", until=claimed.until, calls=[_call(), _call("garbage", took_ms=9.0)]
        )

    assert _state(storage)[0] is None
    assert storage.rows("select outcome, cost from model_calls where outcome like 'summary%%' order by attempt") == [
        ("summary", 0.5),
        ("summary:garbage", 0.5),
    ]


def test_what_was_forgotten_is_not_shown_to_the_model_later(storage: StorageFixture) -> None:
    _talk(storage, 3)
    _talk(storage, 1, drop_summary=True, history_from=5)
    _talk(storage, 2, summarise_to=6)

    assert _numbers(_claimed(storage)) == [5, 6]


def test_notes_count_as_no_failure_and_their_model_as_well(storage: StorageFixture) -> None:
    _talk(storage, 3, summarise_to=2)
    claimed = _claimed(storage)
    summaries.finish(storage.worker, claimed, "they spoke", until=claimed.until, calls=[_call()])
    with hot(storage.crossing) as connection:
        found = figures.read(connection, tenant=storage.account.tenant_id, span=Span.DAY)
        model = overview.read(connection, tenant=storage.account.tenant_id).model

    assert (found.failures, found.total.tokens_in) == ((), 400)
    assert model is not None
    assert model.outcome in turns.WELL, "what the home page calls well"


def test_a_turn_tells_of_notes_apart_and_its_own_call_keeps_its_time(storage: StorageFixture) -> None:
    _talk(storage, 2, summarise_to=1)
    turn, contact = storage.rows("select id, contact_id from turns where number = 1")[0]
    with unit(storage.worker, contact=contact) as connection:
        before = chat.what_happened(connection, turn)
    claimed = _claimed(storage)
    summaries.finish(storage.worker, claimed, "they spoke", until=1, calls=[_call()])
    with unit(storage.worker, contact=contact) as connection:
        after = chat.what_happened(connection, turn)

    assert before is not None
    assert after is not None
    asked, notes = ([step for step in after.steps if step.what == what] for what in ("model", "notes"))
    assert asked == [step for step in before.steps if step.what == "model"]
    assert [step.detail for step in notes] == ["summary, 2.00 s"]
