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

_ANSWERED = (
    "select count(*) from turns t join conversations c on c.id = t.conversation_id where c.account_id = :account and t.state = 'answered'"
)
_SENT = "select count(*) from outbox where account_id = :account and status not in ('queued', 'sending')"


def _others_when_few_are_done(stack: Stack, crowd: Crowd, statement: str, few: int) -> int:
    """How many of the crowd were done when the last of the few was."""
    until(lambda: stack.one(statement, account=crowd.accounts["few"]) == few, what="the few are done", timeout_s=15)
    return stack.one(statement, account=crowd.accounts["many"])


def test_the_few_of_another_account_are_answered_in_the_next_free_slots(stack: Stack) -> None:
    stack.model.script(latency_s=0.5, answer="Hello.")
    crowd = Crowd(stack.owner)
    crowd.account("many")
    crowd.account("few")
    crowd.write("many", 150, ago_s=30)
    stack.start_dispatcher()
    stack.start_worker()
    until(lambda: stack.one(_ANSWERED, account=crowd.accounts["many"]) > 16, what="the crowd is being answered", timeout_s=20)
    before = stack.one(_ANSWERED, account=crowd.accounts["many"])
    crowd.write("few", 8)

    # Sixteen slots: those in work, those that the few take, and two rounds for what is noticed late.
    assert _others_when_few_are_done(stack, crowd, _ANSWERED, 8) - before < 80
    stack.wait_settled(60)


def test_the_few_of_another_profile_do_not_wait_for_tasks_that_go_on_with_the_first(cluster: Cluster, tmp_path: Path) -> None:
    settings: dict[str, Any] = WINDOWS | {"CHINWAG_TASK_RUN_S": "60"}
    with Stack(cluster, tmp_path, settings=settings) as stack:
        stack.model.script(latency_s=0.5, answer="Hello.")
        crowd = Crowd(stack.owner)
        crowd.account("many")
        crowd.account("few")
        crowd.write("many", 220, ago_s=30)
        stack.start_dispatcher()
        stack.start_worker(queues="reply.default,reply.other,deliver,batch.default")
        until(lambda: stack.one(_ANSWERED, account=crowd.accounts["many"]) > 16, what="the crowd is being answered", timeout_s=20)
        before = stack.one(_ANSWERED, account=crowd.accounts["many"])
        crowd.queue = "reply.other"
        crowd.write("few", 8)
        crowd.answers("few", 4)

        # Four of the twelve turns were answered before, and their answers wait.
        assert _others_when_few_are_done(stack, crowd, _ANSWERED, 12) - before < 110
        assert _others_when_few_are_done(stack, crowd, _SENT, 12) - before < 110
        stack.wait_settled(60)
        stack.check()


def test_the_few_answers_of_another_account_are_sent_among_those_of_a_crowd(stack: Stack) -> None:
    crowd = Crowd(stack.owner)
    for name in ("many", "few"):
        crowd.account(name, tenant=name)
    crowd.answers("many", 400, ago_s=60)
    crowd.answers("few", 20)
    stack.start_dispatcher()
    stack.start_worker(CHINWAG_WORKER_SLOTS="1", queues="deliver")

    assert _others_when_few_are_done(stack, crowd, _SENT, 20) < 60
    stack.settles = False


def test_the_small_batch_of_another_tenant_runs_beside_a_large_one(stack: Stack) -> None:
    stack.model.script(latency_s=0.1, answer="Yes.")
    crowd = Crowd(stack.owner)
    for name in ("many", "few"):
        crowd.account(name, tenant=name)
    large = crowd.batch("many", 2000)
    done = "select count(*) from batch_items where batch_id = :batch and state in ('done', 'failed')"
    stack.start_dispatcher()
    stack.start_worker()
    until(lambda: stack.one(done, batch=large) > 20, what="the large batch runs", timeout_s=20)
    before = stack.one(done, batch=large)
    small = crowd.batch("few", 10)
    until(lambda: stack.one(done, batch=small) == 10, what="the small batch is done", timeout_s=15)

    assert stack.one(done, batch=large) - before < 120
    stack.settles = False
