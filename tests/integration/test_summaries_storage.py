"""Who summarises which turns, what a failed try costs, and what is paid: against the database alone."""

from __future__ import annotations

from typing import Any

import pytest

from bots.storage import attention, figures, summaries, talk, turns
from bots.storage.database import hot, unit
from bots.storage.figures import Span
from bots.storage.summaries import SummaryClaim
from bots.storage.turns import ModelCall
from tests.support.desk import Desk, a_message

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


def _talk(desk: Desk, count: int, **last: Any) -> None:
    """Let a talk have so many more turns."""
    for n in range(count):
        desk.let_in(a_message())
        result = {"asked": "hi", "calls": [_call(took_ms=1000.0)]} | (last if n == count - 1 else {})
        sending = desk.finish(desk.claimed(), **result)
        if sending is not None:
            desk.end(sending)


def _claimed(desk: Desk) -> SummaryClaim:
    found = summaries.claim(desk.crossing, _QUEUE, lease_s=150)
    assert found is not None
    return found


def _state(desk: Desk) -> tuple[Any, ...]:
    return tuple(desk.rows("select summary, summary_until, summarise_to, summarise_at is not null, summarise_tries from conversations")[0])


def _numbers(claimed: SummaryClaim) -> list[int]:
    return [turn.number for turn in claimed.turns]


def test_what_a_failed_try_was_about_is_tried_three_times_and_again_when_the_talk_asks_for_it(desk: Desk) -> None:
    _talk(desk, 3, summarise_to=2)
    for tries in (1, 2, 3):
        claimed = _claimed(desk)
        assert summaries.put_off(desk.worker, claimed, after_s=None, until=claimed.until, calls=())
        assert _state(desk) == (None, 0, 2, tries < 3, tries)
        assert summaries.claim(desk.crossing, _QUEUE, lease_s=150) is None, "not at once"
        desk.do("update conversations set summarise_at = now() where summarise_at is not null")
    assert summaries.claim(desk.crossing, _QUEUE, lease_s=150) is None, "it was the last"
    _talk(desk, 2, summarise_to=4)
    claimed = _claimed(desk)

    assert _numbers(claimed) == [1, 2, 3, 4], "nothing is lost"
    assert summaries.finish(desk.worker, claimed, "they spoke", until=4, calls=())
    assert _state(desk) == ("they spoke", 4, None, False, 0)


def test_a_model_that_is_away_costs_no_try(desk: Desk) -> None:
    _talk(desk, 3, summarise_to=2)
    claimed = _claimed(desk)
    assert summaries.put_off(desk.worker, claimed, after_s=60.0, until=claimed.until, calls=())

    assert _state(desk) == (None, 0, 2, True, 0)


def test_notes_of_a_part_are_kept_and_the_rest_is_due_at_once_with_them(desk: Desk) -> None:
    _talk(desk, 5, summarise_to=4)
    claimed = _claimed(desk)
    assert summaries.finish(desk.worker, claimed, "the first two", until=2, calls=())
    again = _claimed(desk)

    assert (again.summary, _numbers(again), again.until) == ("the first two", [3, 4], 4)


def test_turns_that_fall_out_meanwhile_are_due_when_the_notes_are_written(desk: Desk) -> None:
    _talk(desk, 3, summarise_to=2)
    claimed = _claimed(desk)
    _talk(desk, 3, summarise_to=5)
    assert summaries.claim(desk.crossing, _QUEUE, lease_s=150) is None, "one at a time"
    assert summaries.finish(desk.worker, claimed, "the first two", until=claimed.until, calls=())

    assert _numbers(_claimed(desk)) == [3, 4, 5]


@pytest.mark.parametrize("ends", ["forgets", "came too late"])
def test_notes_that_nobody_wants_any_more_are_not_written_and_paid_for_all_the_same(desk: Desk, ends: str) -> None:
    _talk(desk, 3, summarise_to=2)
    claimed = _claimed(desk)
    if ends == "forgets":
        _talk(desk, 1, drop_summary=True, history_from=5)
    else:
        desk.do("update conversations set summarise_at = now()")
        _claimed(desk)
    for _ in range(2):
        # Once more, as a statement whose answer was lost.
        assert not summaries.finish(desk.worker, claimed, "they spoke", until=claimed.until, calls=[_call(), _call("garbage", took_ms=9.0)])

    assert _state(desk)[0] is None
    assert desk.rows("select outcome, cost from model_calls where outcome like 'summary%%' order by attempt") == [
        ("summary", 0.5),
        ("summary:garbage", 0.5),
    ]


def test_what_was_forgotten_is_not_shown_to_the_model_later(desk: Desk) -> None:
    _talk(desk, 3)
    _talk(desk, 1, drop_summary=True, history_from=5)
    _talk(desk, 2, summarise_to=6)

    assert _numbers(_claimed(desk)) == [5, 6]


def test_notes_count_as_no_failure_and_their_model_as_well(desk: Desk) -> None:
    _talk(desk, 3, summarise_to=2)
    claimed = _claimed(desk)
    summaries.finish(desk.worker, claimed, "they spoke", until=claimed.until, calls=[_call()])
    with hot(desk.crossing) as connection:
        found = figures.read(connection, tenant=desk.account.tenant_id, span=Span.DAY)
        model = attention.overview(connection, tenant=desk.account.tenant_id).model

    assert (found.failures, found.total.tokens_in) == ((), 400)
    assert model is not None
    assert model.outcome in turns.WELL, "what the home page calls well"


def test_a_turn_tells_of_notes_apart_and_its_own_call_keeps_its_time(desk: Desk) -> None:
    _talk(desk, 2, summarise_to=1)
    turn, contact = desk.rows("select id, contact_id from turns where number = 1")[0]
    with unit(desk.worker, contact=contact) as connection:
        before = talk.what_happened(connection, turn)
    claimed = _claimed(desk)
    summaries.finish(desk.worker, claimed, "they spoke", until=1, calls=[_call()])
    with unit(desk.worker, contact=contact) as connection:
        after = talk.what_happened(connection, turn)

    assert before is not None
    assert after is not None
    asked, notes = ([step for step in after.steps if step.what == what] for what in ("model", "notes"))
    assert asked == [step for step in before.steps if step.what == "model"]
    assert [step.detail for step in notes] == ["summary, 2.00 s"]
