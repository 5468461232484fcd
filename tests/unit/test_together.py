"""Calls that share a transaction: each gets its own result, none waits without need, and one that hangs holds up nobody else."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from bots.storage.together import Together
from tests.support.processes import until


class _Transactions:
    """Runs groups, which a test can hold, and remembers them."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.began: list[float] = []
        self._gates: dict[int, threading.Event] = {}

    def hold(self, call: int) -> threading.Event:
        """Let the transaction with this call wait for an event."""
        return self._gates.setdefault(call, threading.Event())

    def run(self, calls: Sequence[int]) -> Sequence[str]:
        self.began.append(time.monotonic())
        self.groups.append(list(calls))
        for call in calls:
            if call in self._gates:
                assert self._gates[call].wait(20)
            if call < 0:
                raise ValueError(f"{call} cannot be stored")
        return [f"made {call}" for call in calls]


def _while_one_runs(together: Together[int, str], ran: _Transactions, pool: ThreadPoolExecutor, calls: Sequence[int]) -> list[Future[str]]:
    """Make these calls while the transaction of the first one runs, which the test holds."""
    futures = [pool.submit(together.call, calls[0])]
    until(lambda: len(ran.groups) == 1, what="the first one runs")
    for n, call in enumerate(calls[1:], 1):
        futures.append(pool.submit(together.call, call))
        until(lambda n=n: together.waiting() == n, what="the call waits")
    return futures


def test_a_call_that_comes_alone_is_done_at_once() -> None:
    ran = _Transactions()

    assert Together(ran.run, most=8, gather_s=30.0).call(1) == "made 1"


def test_calls_that_come_while_one_runs_share_the_next_transaction_and_each_gets_its_own() -> None:
    ran = _Transactions()
    together, gate = Together(ran.run, most=8), ran.hold(1)
    with ThreadPoolExecutor() as pool:
        futures = _while_one_runs(together, ran, pool, [1, 2, 3, 4])
        gate.set()

    assert [future.result() for future in futures] == ["made 1", "made 2", "made 3", "made 4"]
    assert ran.groups == [[1], [2, 3, 4]]


def test_where_a_full_transaction_waits_it_begins_beside_the_one_that_runs() -> None:
    ran = _Transactions()
    together, gate = Together(ran.run, most=2), ran.hold(1)
    with ThreadPoolExecutor() as pool:
        futures = _while_one_runs(together, ran, pool, [1, 2, 3])
        last = pool.submit(together.call, 4).result(timeout=0.5)
        gate.set()

    assert last == "made 4"
    assert ran.groups == [[1], [4, 2], [3]]
    assert [future.result() for future in futures] == ["made 1", "made 2", "made 3"]


def test_whoever_was_in_a_transaction_that_failed_learns_it_and_the_next_one_runs() -> None:
    ran = _Transactions()
    together, gate = Together(ran.run, most=8), ran.hold(1)
    with ThreadPoolExecutor() as pool:
        futures = _while_one_runs(together, ran, pool, [1, 2, -3])
        gate.set()

    for future in futures[1:]:
        with pytest.raises(ValueError, match="-3 cannot be stored"):
            future.result()
    assert together.call(4) == "made 4"


def test_a_transaction_that_hangs_holds_up_the_others_for_a_second() -> None:
    ran = _Transactions()
    together, gate = Together(ran.run, most=8), ran.hold(1)
    with ThreadPoolExecutor() as pool:
        futures = _while_one_runs(together, ran, pool, [1, 2, 3])
        done = [future.result(timeout=10) for future in futures[1:]]
        hangs = not futures[0].done()
        began = time.monotonic()
        later = pool.submit(together.call, 4).result(timeout=10)
        later_s = time.monotonic() - began
        gate.set()

    assert done == ["made 2", "made 3"]
    assert hangs
    assert later == "made 4"
    # It is known by then.
    assert later_s < 0.5
    assert futures[0].result() == "made 1"


def test_under_load_transactions_begin_further_apart_the_more_calls_they_have() -> None:
    ran = _Transactions()
    together, gate = Together(ran.run, most=8, gather_s=0.002), ran.hold(1)
    with ThreadPoolExecutor() as pool:
        first = _while_one_runs(together, ran, pool, [1, 2, 3, 4])
        gate.set()
        last = pool.submit(together.call, 5)
        for future in (*first, last):
            future.result()
    # The last call came before the second transaction, or after it.
    gaps = [later - earlier for earlier, later in zip(ran.began, ran.began[1:], strict=False)]

    assert gaps[0] >= 0.002
    assert all(gap >= 0.002 * len(group) for gap, group in zip(gaps, ran.groups, strict=False))


def test_enough_calls_wait_for_no_others() -> None:
    ran = _Transactions()
    together, gate = Together(ran.run, most=16, gather_s=0.02), ran.hold(1)
    calls = range(1, 16)
    with ThreadPoolExecutor(16) as pool:
        futures = _while_one_runs(together, ran, pool, calls)
        gate.set()
        made = [future.result() for future in futures]

    assert made == [f"made {call}" for call in calls]
    assert ran.groups == [[1], [*range(2, 16)]]


def test_of_many_threads_each_call_is_done_once_and_answered_with_its_own() -> None:
    ran = _Transactions()
    together = Together(ran.run, most=7)
    calls = range(1, 2001)
    with ThreadPoolExecutor(40) as pool:
        made = list(pool.map(together.call, calls))

    assert made == [f"made {call}" for call in calls]
    assert sorted(call for group in ran.groups for call in group) == list(calls)
    assert max(len(group) for group in ran.groups) <= 7
