"""Batches: whatever is killed, frozen, wiped or cancelled, each item is answered exactly once into the result."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from uuid import UUID

import pytest

from bots.admin import batches
from chinwag.local.redis import RunningRedis, start_redis
from tests.support.acting import acting, deps
from tests.support.batches import lines, results, submit, tenant_of
from tests.support.crew import Hand
from tests.support.processes import ROOT, until
from tests.support.proxy import Watch
from tests.support.stack import Stack

_COUNT = 30


@pytest.fixture
def stack(stack: Stack) -> Stack:
    """A stack that gives a batch 12 of its 16 slots."""
    stack.env["CHINWAG_BATCH_RESERVE"] = "4"
    return stack


def _submitted(stack: Stack, count: int = _COUNT) -> UUID:
    batch = submit(stack.engine("web"), lines(count), bot="tester").batch
    assert batch is not None
    return batch


def _wait_done(stack: Stack, timeout_s: float = 40) -> None:
    until(lambda: stack.one("select state from batches") == "done", what=f"the batch was done\n{stack.describe()}", timeout_s=timeout_s)


def _check(stack: Stack, batch: UUID, count: int = _COUNT) -> None:
    """Each item stands in the result once, with its own answer."""
    found = results(stack.engine("web"), batch)

    assert [(line["custom_id"], line["text"]) for line in found] == [(f"q{n}", f"You said: question {n}") for n in range(1, count + 1)]


@pytest.fixture
def kill_redis(stack: Stack) -> Iterator[Callable[..., None]]:
    """Kill Redis, with or without all that it kept, and start it again."""
    started: list[RunningRedis] = []

    def kill(*, wipe: bool) -> None:
        stack.redis.child.process.kill()
        stack.redis.child.process.wait(10)
        if wipe:
            shutil.rmtree(stack.folder / "redis" / "appendonlydir")
        started.append(start_redis(stack.folder / "redis"))
        stack.redis = started[-1]

    yield kill
    for redis in started:
        redis.stop()


def _ended(stack: Stack) -> int:
    return stack.one("select count(*) from batch_items where state = 'done'")


POINTS = {
    "after the claim": lambda hand: hand.database.hold_reply(b"claim_item", has=b'"token"'),
    "during the model call": lambda hand: hand.model.hold(b"/chat/completions"),
    "before the commit": lambda hand: hand.database.hold(b"finish_item"),
    "after the commit": lambda hand: hand.database.hold_reply(b"finish_item"),
}


@pytest.mark.parametrize("point", POINTS)
def test_a_worker_killed_at_any_point_of_an_item_costs_nothing(stack: Stack, point: str) -> None:
    stack.start_dispatcher()
    hand = Hand(stack, "a").start(CHINWAG_BATCH_LEASE_S="3")
    watch: Watch = POINTS[point](hand)
    batch = _submitted(stack)
    watch.wait()
    hand.process.kill()
    watch.drop()
    stack.start_worker("b", CHINWAG_BATCH_LEASE_S="3")
    _wait_done(stack)
    _check(stack, batch)


def test_a_worker_frozen_beyond_its_lease_finishes_nothing_twice(stack: Stack) -> None:
    stack.start_dispatcher()
    stack.model.script(latency_s=0.3)
    frozen = stack.start_worker("a", CHINWAG_BATCH_LEASE_S="2")
    batch = _submitted(stack)
    until(lambda: _ended(stack) >= 3, what="some items were done")
    frozen.freeze()
    stack.start_worker("b", CHINWAG_BATCH_LEASE_S="2")
    _wait_done(stack)
    before = results(stack.engine("web"), batch)
    printed = len(frozen.printed())
    frozen.thaw()
    until(lambda: '"fenced"' in frozen.printed()[printed:], what="the frozen worker comes too late")

    _check(stack, batch)
    assert results(stack.engine("web"), batch) == before


def test_everything_killed_at_once_goes_on_where_it_was(stack: Stack, kill_redis: Callable[..., None]) -> None:
    stack.model.script(latency_s=0.3)
    parts = [stack.start_dispatcher(), stack.start_worker("a", CHINWAG_BATCH_LEASE_S="60")]
    batch = _submitted(stack, 60)
    until(lambda: _ended(stack) >= 10, what="some items were done")
    for part in parts:
        part.kill()
    done = _ended(stack)
    kill_redis(wipe=False)
    stack.start_dispatcher()
    # The same name: its new boot frees what its former self held, long before the lease ends.
    stack.start_worker("a", CHINWAG_BATCH_LEASE_S="60")
    _wait_done(stack)

    assert 10 <= done < 60
    _check(stack, batch, 60)


def test_a_wiped_redis_loses_no_item(stack: Stack, kill_redis: Callable[..., None]) -> None:
    stack.model.script(latency_s=0.3)
    stack.start_dispatcher()
    stack.start_worker()
    batch = _submitted(stack, 60)
    until(lambda: _ended(stack) >= 5, what="some items were done")
    kill_redis(wipe=True)
    _wait_done(stack)
    _check(stack, batch, 60)


def test_a_batch_cancelled_midway_takes_no_further_answer(stack: Stack) -> None:
    stack.start_dispatcher()
    stack.start_worker()
    stack.model.script(mode="hold", match="question 2")
    batch = _submitted(stack)
    until(lambda: stack.model.held() >= 1, what="an item is being asked")
    batches.cancel(deps(stack.engine("web")), acting(tenant_of(stack.engine("web"))), batch)
    before = results(stack.engine("web"), batch)
    busy = "select max(busy) from worker_heartbeats where slots > 0"
    until(lambda: stack.one(busy) > 0, what="a heartbeat tells of the item")
    stack.model.release()
    until(lambda: not stack.model.held(), what="the model answers")
    until(lambda: stack.one(busy) == 0, what="the worker has nothing to do")

    after = results(stack.engine("web"), batch)
    paid = [(was, now) for was, now in zip(before, after, strict=True) if was != now]

    assert len(before) == _COUNT
    # What the model had in hand is paid for, and dropped.
    assert paid
    assert all(was["error"] is not None and was["usage"] is None and now == was | {"usage": now["usage"]} for was, now in paid)
    assert all(now["text"] is None and now["usage"]["tokens_out"] > 0 for _, now in paid)
    assert stack.one("select state from batches") == "cancelled"


def test_a_submit_killed_at_any_point_is_one_batch_when_it_is_sent_again(stack: Stack) -> None:
    data, longer = lines(5000), lines(30_000)
    seen: list[UUID] = []
    newest = "select id from batches where id <> all(:seen)"
    of_it = "select count(*) from batch_items where batch_id = :it"
    env = {key: value for key, value in os.environ.items() if not key.startswith("CHINWAG_")} | stack.env
    command = [sys.executable, "-m", "chinwag", "batch", "submit", "-", "--bot", "tester", "--key", "k"]
    for items in (0, 1, 2000):
        killed = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=env, cwd=ROOT)
        try:
            assert killed.stdin is not None
            # It reads a mebibyte at a time and the input does not end: so it is killed within.
            killed.stdin.write(longer if items else data)
            killed.stdin.flush()
            it = until(lambda: stack.one(newest, seen=seen), what="the submission has begun")
            until(lambda least=items, it=it: stack.one(of_it, it=it) >= least, what="items are there")
            seen.append(it)
        finally:
            killed.kill()
            killed.wait(10)
            killed.stdin.close()
        assert stack.one("select count(*) from batches where state = 'running'") == 0
    sent = [subprocess.run(command, input=data, env=env, cwd=ROOT, capture_output=True, timeout=60, check=True) for _ in range(2)]

    assert (stack.one("select count(*) from batches"), stack.one("select count(*) from batch_items")) == (1, 5000)
    assert b"started" in sent[0].stdout
    assert b"already exists under this key" in sent[1].stdout


def test_a_submit_whose_last_answer_is_lost_is_the_same_batch_again(stack: Stack) -> None:
    proxy = stack.database_proxy()
    env = {key: value for key, value in os.environ.items() if not key.startswith("CHINWAG_")} | stack.env
    behind = env | stack.cluster.addresses(stack.database, proxy_port=proxy.port)
    command = [sys.executable, "-m", "chinwag", "batch", "submit", "-", "--bot", "tester", "--key", "k"]
    # The audit row is the last statement before the commit: what comes back idle after it is the commit's answer.
    watch = proxy.hold_reply(b"insert into audit")
    killed = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=behind, cwd=ROOT)
    try:
        assert killed.stdin is not None
        killed.stdin.write(lines(10))
        killed.stdin.close()
        watch.wait()
    finally:
        killed.kill()
        killed.wait(10)
    watch.drop()
    assert stack.one("select count(*) from batches where state = 'running'") == 1
    subprocess.run(command, input=lines(10), env=env, cwd=ROOT, capture_output=True, timeout=60, check=True)

    assert (stack.one("select count(*) from batches"), stack.one("select count(*) from batch_items")) == (1, 10)
