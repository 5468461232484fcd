"""The breaker: five failures in a row close the door, one call each five seconds tries it."""

from __future__ import annotations

import threading
from itertools import pairwise

import pytest

from inference.client import Breaker
from inference.errors import ModelUnavailable


class _Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def _let_in(breaker: Breaker) -> bool:
    try:
        breaker.enter()
    except ModelUnavailable:
        return False
    return True


def _opened(clock: _Clock) -> Breaker:
    breaker = Breaker(clock=clock)
    for _ in range(5):
        breaker.failed()
    return breaker


def test_it_opens_after_five_failures_in_a_row() -> None:
    breaker = Breaker()
    for _ in range(4):
        breaker.failed()

    assert _let_in(breaker)

    breaker.failed()

    assert breaker.is_open
    assert not _let_in(breaker)


def test_a_success_between_failures_starts_the_count_anew() -> None:
    breaker = Breaker()
    for _ in range(3):
        for _ in range(4):
            breaker.failed()
        breaker.succeeded()

    assert not breaker.is_open


def test_busy_is_no_failure_and_no_success_while_it_is_closed() -> None:
    breaker = Breaker()
    for _ in range(4):
        breaker.failed()
        breaker.busy()

    assert not breaker.is_open

    breaker.failed()

    assert breaker.is_open


def test_at_most_one_probe_in_five_seconds() -> None:
    clock = _Clock()
    breaker = _opened(clock)
    let_in: list[float] = []
    for _ in range(200):
        clock.now += 0.1
        if _let_in(breaker):
            let_in.append(clock.now)
            breaker.failed()

    assert len(let_in) <= 4
    assert all(later - earlier >= 4.99 for earlier, later in pairwise(let_in))


@pytest.mark.parametrize("report", ["succeeded", "busy"])
def test_a_probe_that_finds_life_closes_it(report: str) -> None:
    clock = _Clock()
    breaker = _opened(clock)
    clock.now += 5.0
    breaker.enter()

    getattr(breaker, report)()

    assert _let_in(breaker)
    assert _let_in(breaker)


def test_of_many_threads_one_is_the_probe() -> None:
    clock = _Clock()
    breaker = _opened(clock)
    clock.now += 5.0
    let_in: list[bool] = []
    start = threading.Barrier(16)

    def call() -> None:
        start.wait()
        let_in.append(_let_in(breaker))

    threads = [threading.Thread(target=call) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert let_in.count(True) == 1
