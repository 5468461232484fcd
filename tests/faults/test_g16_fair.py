"""G16: a crowd of one account, or of one profile, does not keep the few of another waiting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.cluster import Cluster
from tests.support.crowd import Crowd
from tests.support.processes import until
from tests.support.stack import WINDOWS, Stack

pytestmark = pytest.mark.slow

_ANSWERED = "select t.finished_at from turns t join conversations c on c.id = t.conversation_id where c.account_id = :account and t.state = 'answered'"
_SENT = "select a.finished_at from send_attempts a join outbox o on o.id = a.message_id where o.account_id = :account and a.outcome = 'accepted'"
_DONE = "select finished_at from batch_items where batch_id = :batch and state = 'done'"


def _ended(stack: Stack, statement: str, **whose: Any) -> list[Any]:
    """When each of these ended, by the database: what is seen by looking again and again depends on how quickly one looks."""
    return sorted(row["finished_at"] for row in stack.rows(statement, **whose))


def _among(stack: Stack, statement: str, few: dict[str, Any], many: dict[str, Any], *, count: int, since: Any) -> int:
    """How many of the crowd ended after that time and before the last of the few did."""
    until(lambda: len(_ended(stack, statement, **few)) >= count, what="the few are done", timeout_s=30)
    last = _ended(stack, statement, **few)[count - 1]
    return sum(since < at < last for at in _ended(stack, statement, **many))


def test_the_few_of_another_account_are_answered_in_the_next_free_slots(stack: Stack) -> None:
    stack.model.script(latency_s=0.5, answer="Hello.")
    crowd = Crowd(stack.owner)
    few, many = {"account": crowd.account("few")}, {"account": crowd.account("many")}
    crowd.write("many", 150, ago_s=30)
    stack.start_dispatcher()
    stack.start_worker()
    until(lambda: len(_ended(stack, _ANSWERED, **many)) > 16, what="the crowd is being answered", timeout_s=20)
    since = stack.one("select clock_timestamp()")
    crowd.write("few", 8)

    # Sixteen slots: those in work, those that the few take, and two rounds for what is noticed late.
    assert _among(stack, _ANSWERED, few, many, count=8, since=since) < 80
    stack.wait_settled(60)


def test_the_few_wait_for_no_long_answer_of_a_crowd_once_they_have_written_before(stack: Stack) -> None:
    stack.settles = False
    stack.model.script(latency_s=0.2, answer="Hello.")
    crowd = Crowd(stack.owner)
    few, many = {"account": crowd.account("few")}, {"account": crowd.account("many")}
    stack.start_dispatcher()
    crowd.write("few", 1)
    crowd.write("many", 1)
    stack.start_worker()
    until(lambda: len(_ended(stack, _ANSWERED, **few)) + len(_ended(stack, _ANSWERED, **many)) == 2, what="both were answered")
    until(lambda: stack.one("select max(shared) from worker_heartbeats"), what="the worker knows that both have written")
    stack.model.script(latency_s=15.0, answer="Hello.")
    crowd.write("many", 60, ago_s=30)
    until(lambda: len(stack.model.log()) == 2 + 12, what="the model is asked for as many of the crowd as may be in work", timeout_s=20)
    stack.model.script(latency_s=0.2, answer="Hello.")
    since = stack.one("select clock_timestamp()")
    crowd.write("few", 2)

    # Of sixteen slots four were left free.
    assert _among(stack, _ANSWERED, few, many, count=3, since=since) == 0


def test_the_few_of_another_profile_do_not_wait_for_tasks_that_go_on_with_the_first(cluster: Cluster, tmp_path: Path) -> None:
    settings: dict[str, Any] = WINDOWS | {"CHINWAG_TASK_RUN_S": "60"}
    with Stack(cluster, tmp_path, settings=settings) as stack:
        stack.model.script(latency_s=0.5, answer="Hello.")
        crowd = Crowd(stack.owner)
        few, many = {"account": crowd.account("few")}, {"account": crowd.account("many")}
        crowd.write("many", 220, ago_s=30)
        stack.start_dispatcher()
        stack.start_worker(queues="reply.default,reply.other,deliver,batch.default")
        until(lambda: len(_ended(stack, _ANSWERED, **many)) > 16, what="the crowd is being answered", timeout_s=20)
        since = stack.one("select clock_timestamp()")
        crowd.queue = "reply.other"
        crowd.write("few", 8)
        crowd.answers("few", 4)

        # Four of the few were answered by hand.
        assert _among(stack, _ANSWERED, few, many, count=12, since=since) < 110
        assert _among(stack, _SENT, few, many, count=12, since=since) < 110
        stack.wait_settled(60)
        stack.check()


def test_the_few_answers_of_another_account_are_sent_among_those_of_a_crowd(stack: Stack) -> None:
    crowd = Crowd(stack.owner)
    few, many = ({"account": crowd.account(name, tenant=name)} for name in ("few", "many"))
    crowd.answers("many", 400, ago_s=60)
    crowd.answers("few", 20)
    since = stack.one("select clock_timestamp()")
    stack.start_dispatcher()
    stack.start_worker(CHINWAG_WORKER_SLOTS="1", queues="deliver")

    assert _among(stack, _SENT, few, many, count=20, since=since) <= 22
    stack.settles = False


def test_the_small_batch_of_another_tenant_runs_beside_a_large_one(stack: Stack) -> None:
    stack.model.script(latency_s=0.1, answer="Yes.")
    crowd = Crowd(stack.owner)
    for name in ("many", "few"):
        crowd.account(name, tenant=name)
    large = {"batch": crowd.batch("many", 2000)}
    stack.start_dispatcher()
    stack.start_worker()
    until(lambda: len(_ended(stack, _DONE, **large)) > 20, what="the large batch runs", timeout_s=20)
    small = {"batch": crowd.batch("few", 10)}
    since = stack.one("select clock_timestamp()")

    # With one slot for batches the two go in turn, item by item.
    assert _among(stack, _DONE, small, large, count=10, since=since) <= 14
    stack.settles = False
