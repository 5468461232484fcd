"""Batches in Postgres: a file comes in whole or not at all, an item ends once, and what an operator may do holds in every state."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from bots.errors import Conflict, NotFound
from bots.storage import batch_items, batches, claims
from bots.storage.batch_items import Item, ItemResult
from bots.storage.batches import Batch
from bots.storage.database import hot, unit
from tests.support.batches import lines, results, submission, submit, tenant_of
from tests.support.storage_fixture import StorageFixture

_QUEUE = "batch.default"
_DONE = ItemResult(state="done", answer="Yes.", model="m", tokens_in=7, tokens_cached=0, tokens_out=2)


def _claim(storage: StorageFixture, *, boot: UUID | None = None, lease_s: float = 60.0) -> Item | None:
    return batch_items.claim(storage.crossing, _QUEUE, boot=boot or storage.boot, lease_s=lease_s)


def _claimed(storage: StorageFixture, **options: Any) -> Item:
    item = _claim(storage, **options)
    assert item is not None
    return item


def _running(storage: StorageFixture, count: int = 3) -> UUID:
    batch = submit(storage.web, lines(count)).batch
    assert batch is not None
    return batch


def _get(storage: StorageFixture, batch: UUID) -> Batch:
    with hot(storage.web) as connection:
        return batches.get(connection, batch, tenant=tenant_of(storage.web))


def _do(storage: StorageFixture, what: Callable[..., Any], batch: UUID, *, tenant: UUID | None = None) -> Any:
    with unit(storage.web) as connection:
        return what(connection, batch, tenant=tenant or tenant_of(storage.web))


def _left(storage: StorageFixture) -> tuple[int, int]:
    return storage.value("select count(*) from batches"), storage.value("select count(*) from batch_items")


def test_a_good_file_becomes_a_running_batch_with_an_item_a_line(storage: StorageFixture) -> None:
    found = submit(storage.web, lines(1201))
    assert found.batch is not None
    batch = _get(storage, found.batch)

    assert (batch.state, batch.total, batch.waiting, batch.bot, batch.queue, batch.created_by) == (
        "running",
        1201,
        1201,
        "demo",
        _QUEUE,
        "ada",
    )
    assert storage.value("select count(*) from audit where action = 'batch.submit'") == 1


def test_a_file_with_bad_lines_leaves_nothing_and_names_each(storage: StorageFixture) -> None:
    found = submit(storage.web, lines(600) + b"nothing\n" + lines(3) + b'{"custom_id": "z"}\n')

    assert found.batch is None
    assert [(line.n, line.reason) for line in found.bad][:2] == [
        (601, "not JSON: Expecting value at character 1"),
        (602, "custom_id is the same as on line 1"),
    ]
    assert (found.bad_count, _left(storage)) == (5, (0, 0))


def test_of_many_bad_lines_a_hundred_are_named_and_all_are_counted(storage: StorageFixture) -> None:
    found = submit(storage.web, b"x\n" * 1000)

    assert (len(found.bad), found.bad_count) == (100, 1000)


def test_twins_within_one_piece_are_found(storage: StorageFixture) -> None:
    found = submit(storage.web, lines(2) + lines(1))

    assert [(line.n, line.reason) for line in found.bad] == [(3, "custom_id is the same as on line 1")]


def test_the_same_file_with_the_same_key_is_one_batch(storage: StorageFixture) -> None:
    first, second = submit(storage.web, lines(5), key="k"), submit(storage.web, lines(5), key="k")

    assert (second.batch, second.existing, second.total) == (first.batch, True, 5)
    assert _left(storage) == (1, 5)


def test_another_file_with_the_same_key_is_refused(storage: StorageFixture) -> None:
    submit(storage.web, lines(5), key="k")
    with pytest.raises(Conflict):
        submit(storage.web, lines(6), key="k")

    assert _left(storage) == (1, 5)


def test_a_key_is_free_again_after_a_file_that_was_refused(storage: StorageFixture) -> None:
    submit(storage.web, b"x\n", key="k")

    assert submit(storage.web, lines(2), key="k").batch is not None


def test_a_submission_that_broke_off_is_begun_anew_by_its_submitter(storage: StorageFixture) -> None:
    broken = submission(storage.web, key="k")
    broken.feed(lines(1500))
    again = submit(storage.web, lines(1500), key="k")

    assert again.batch is not None
    assert _left(storage) == (1, 1500)
    with pytest.raises(Conflict):
        broken.check()
    assert _get(storage, again.batch).state == "running"


def test_somebody_elses_check_is_waited_for_until_it_shows_no_life(storage: StorageFixture) -> None:
    submission(storage.web, key="k", actor="bob").feed(lines(1500))
    with pytest.raises(Conflict):
        submit(storage.web, lines(1), key="k", actor="ada")
    storage.do("update batches set touched_at = now() - interval '2 minutes'")

    assert submit(storage.web, lines(1), key="k", actor="ada").batch is not None


def test_a_batch_for_an_unknown_bot_is_refused(storage: StorageFixture) -> None:
    with pytest.raises(NotFound):
        submit(storage.web, lines(1), bot="nobody")


def test_nothing_of_a_batch_that_is_still_checked_is_claimed(storage: StorageFixture) -> None:
    submission(storage.web).feed(lines(1500))

    assert _claim(storage) is None


def test_items_are_handed_out_in_order_with_the_bots_persona(storage: StorageFixture) -> None:
    _running(storage)
    first, second = _claimed(storage), _claimed(storage)

    assert (first.n, second.n, first.request.text) == (1, 2, "question 1")
    assert first.persona == "You are the assistant of a clinic."


def test_the_oldest_batch_is_worked_first(storage: StorageFixture) -> None:
    first, _ = _running(storage, 1), _running(storage, 1)

    assert _claimed(storage).batch == first


def test_the_last_item_ends_the_batch(storage: StorageFixture) -> None:
    batch = _running(storage, 2)
    for _ in range(2):
        assert batch_items.finish(storage.worker, _claimed(storage), _DONE)

    assert (_get(storage, batch).state, _get(storage, batch).done) == ("done", 2)


def test_an_expired_lease_passes_to_another_and_the_first_holder_is_fenced(storage: StorageFixture) -> None:
    batch = _running(storage, 1)
    lost = _claimed(storage, lease_s=0.0)
    held = _claimed(storage, boot=uuid4())

    assert not batch_items.finish(storage.worker, lost, ItemResult(state="done", answer="late"))
    assert batch_items.finish(storage.worker, held, _DONE)
    assert not batch_items.finish(storage.worker, lost, ItemResult(state="done", answer="later still"))
    assert [line["text"] for line in results(storage.web, batch)] == ["Yes."]


def test_finishing_again_after_a_lost_answer_is_true_and_changes_nothing(storage: StorageFixture) -> None:
    batch = _running(storage, 1)
    item = _claimed(storage)

    assert [batch_items.finish(storage.worker, item, _DONE) for _ in range(2)] == [True, True]
    assert len(results(storage.web, batch)) == 1


def test_an_item_that_ten_workers_died_of_fails(storage: StorageFixture) -> None:
    batch = _running(storage, 1)
    for _ in range(10):
        _claimed(storage, lease_s=0.0)

    assert _claim(storage) is None
    assert results(storage.web, batch)[0]["error"]["code"] == "error:lost"
    assert batch_items.keep_house(storage.crossing) == 0
    assert _get(storage, batch).state == "done"


def test_a_restarted_worker_frees_the_items_of_its_former_self(storage: StorageFixture) -> None:
    _running(storage, 1)
    before, after = uuid4(), uuid4()
    claims.heartbeat(storage.crossing, "w", boot=before, queues=[_QUEUE], slots=4, busy=0, first=True)
    _claimed(storage, boot=before)

    assert _claim(storage) is None
    assert claims.heartbeat(storage.crossing, "w", boot=after, queues=[_QUEUE], slots=4, busy=0, first=True) == 1
    assert _claim(storage, boot=after) is not None


def test_a_batch_whose_model_is_away_holds_and_its_item_has_spent_no_try(storage: StorageFixture) -> None:
    batch = _running(storage)
    batch_items.hold(storage.crossing, _claimed(storage), hold_s=30.0)

    assert _claim(storage) is None
    storage.do("update batches set hold_until = now()")
    assert _claimed(storage).tries == 0
    assert _get(storage, batch).running == 1


def test_an_error_of_our_own_is_tried_again_later(storage: StorageFixture) -> None:
    _running(storage, 1)
    batch_items.retry_later(storage.crossing, _claimed(storage), after_s=30.0, reason="error:ValueError")

    assert _claim(storage) is None
    storage.do("update batch_items set ready_at = now()")
    assert _claimed(storage).tries == 1


def test_a_paused_batch_hands_nothing_out_and_takes_what_was_running(storage: StorageFixture) -> None:
    batch = _running(storage)
    item = _claimed(storage)
    _do(storage, batches.pause, batch)

    assert _claim(storage) is None
    assert batch_items.finish(storage.worker, item, _DONE)
    _do(storage, batches.resume, batch)
    assert _claimed(storage).n == 2


def test_a_batch_cancelled_midway_drops_what_runs_and_keeps_what_is_done(storage: StorageFixture) -> None:
    batch = _running(storage)
    batch_items.finish(storage.worker, _claimed(storage), _DONE)
    item = _claimed(storage)
    _do(storage, batches.cancel, batch)

    assert _claim(storage) is None
    assert not batch_items.finish(storage.worker, item, _DONE)
    found = _get(storage, batch)
    assert (found.state, found.done, found.cancelled, found.waiting, found.running) == ("cancelled", 1, 2, 0, 0)
    assert [(line["text"], line["error"] and line["error"]["code"]) for line in results(storage.web, batch)] == [
        ("Yes.", None),
        (None, "cancelled"),
        (None, "cancelled"),
    ]


def test_what_a_cancelled_batch_was_asking_gives_its_slot_to_the_next_batch(storage: StorageFixture) -> None:
    claims.heartbeat(storage.crossing, "a", boot=storage.boot, queues=[_QUEUE], slots=4, busy=0)
    batch = _running(storage)
    item = _claimed(storage)
    _do(storage, batches.cancel, batch)
    _running(storage)

    assert [queue.running for queue in claims.waiting(storage.crossing, reserve=1)] == [1]
    batch_items.finish(storage.worker, item, _DONE)
    assert [queue.running for queue in claims.waiting(storage.crossing, reserve=1)] == [0]


def test_what_failed_is_asked_again_and_nothing_else(storage: StorageFixture) -> None:
    batch = _running(storage, 2)
    batch_items.finish(storage.worker, _claimed(storage), _DONE)
    batch_items.finish(storage.worker, _claimed(storage), ItemResult(state="failed", reason="garbage"))

    assert _get(storage, batch).state == "done"
    assert _do(storage, batches.retry_failed, batch) == 1
    assert _get(storage, batch).state == "running"
    again = _claimed(storage)
    assert (again.n, again.tries) == (2, 0)
    batch_items.finish(storage.worker, again, _DONE)
    assert [line["error"] for line in results(storage.web, batch)] == [None, None]


@pytest.mark.parametrize(
    ("state", "refused"),
    [
        ("checking", [batches.pause, batches.resume, batches.cancel, batches.retry_failed]),
        ("cancelled", [batches.pause, batches.resume, batches.retry_failed]),
        ("done", [batches.pause, batches.resume, batches.cancel, batches.retry_failed]),
        ("running", [batches.retry_failed]),
    ],
)
def test_what_makes_no_sense_in_a_state_is_a_conflict(storage: StorageFixture, state: str, refused: list[Callable[..., Any]]) -> None:
    batch = _running(storage)
    storage.do("update batches set state = %s", state)
    for what in refused:
        with pytest.raises(Conflict):
            _do(storage, what, batch)

    assert storage.value("select state from batches") == state


def test_another_tenants_batch_is_not_there(storage: StorageFixture) -> None:
    batch = _running(storage)
    for what in (batches.pause, batches.resume, batches.cancel, batches.retry_failed):
        with pytest.raises(NotFound):
            _do(storage, what, batch, tenant=uuid4())
    with hot(storage.web) as connection:
        with pytest.raises(NotFound):
            batches.get(connection, batch, tenant=uuid4())
        assert batches.ended_after(connection, batch, tenant=uuid4(), after=0) == []
        assert batches.newest(connection, tenant=uuid4()) == []


def test_results_come_in_the_order_of_the_file_in_both_forms(storage: StorageFixture) -> None:
    body = {"messages": [{"role": "user", "content": "Hi"}], "temperature": 0}
    request = json.dumps({"custom_id": "r", "method": "POST", "url": "/v1/chat/completions", "body": body}).encode() + b"\n"
    batch = submit(storage.web, lines(20) + request).batch
    assert batch is not None
    items = [_claimed(storage) for _ in range(21)]
    for item in reversed(items):
        batch_items.finish(storage.worker, item, _DONE)
    found = results(storage.web, batch)

    assert [line["custom_id"] for line in found] == [*(f"q{n}" for n in range(1, 21)), "r"]
    usage = {"tokens_in": 7, "tokens_cached": 0, "tokens_out": 2, "estimated": False}
    assert found[0] == {"custom_id": "q1", "text": "Yes.", "error": None, "usage": usage}
    answered = found[-1]["response"]
    assert (answered["status_code"], answered["body"]["object"], found[-1]["error"]) == (200, "chat.completion", None)
    assert answered["body"]["choices"] == [{"index": 0, "message": {"role": "assistant", "content": "Yes."}, "finish_reason": "stop"}]
    assert answered["body"]["usage"]["total_tokens"] == 9


def test_the_dispatcher_hears_of_batches_without_the_slots_that_are_peoples(storage: StorageFixture) -> None:
    _running(storage, 5)
    assert claims.waiting(storage.crossing, reserve=16) == []
    for name, slots in (("a", 64), ("b", 8)):
        claims.heartbeat(storage.crossing, name, boot=storage.boot, queues=["reply.default", _QUEUE], slots=slots, busy=0)
    _claimed(storage)

    (found,) = claims.waiting(storage.crossing, reserve=16)
    assert (found.queue, found.due, found.running, found.slots) == (_QUEUE, 4, 1, 48 + 1)


def test_where_engines_have_workers_of_their_own_a_batch_gets_what_these_leave_and_no_other_worker_adds_to_it(
    storage: StorageFixture,
) -> None:
    _running(storage, 5)
    for name, slots, queue in (("plain", 64, "reply.default"), ("e1", 128, "reply.default.@e1"), ("e2", 32, "reply.default.@e2")):
        claims.heartbeat(storage.crossing, name, boot=uuid4(), queues=[queue, _QUEUE], slots=slots, busy=0)

    assert [found.slots for found in claims.waiting(storage.crossing, reserve=16)] == [112 + 16]


def test_a_check_that_broke_off_is_swept_away_after_an_hour(storage: StorageFixture) -> None:
    submission(storage.web).feed(lines(1500))
    batch_items.keep_house(storage.crossing)
    assert _left(storage)[0] == 1
    storage.do("update batches set touched_at = now() - interval '2 hours'")

    assert batch_items.keep_house(storage.crossing) == 1
    assert _left(storage) == (0, 0)
