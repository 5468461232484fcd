"""What a process knows of a server: the pause that it asks for is kept to the second, by all threads; the context that it named is used for a while."""

from __future__ import annotations

import pytest

from inference.client import Breaker
from inference.errors import ModelBusy, ModelUnavailable, OutOfQuota
from inference.known_server import KnownServer


class _Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def _busy(seconds: float) -> ModelBusy:
    error = ModelBusy()
    error.retry_after_s = seconds
    return error


def _empty(seconds: float = 0.0) -> OutOfQuota:
    error = OutOfQuota()
    error.retry_after_s = seconds
    return error


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


@pytest.fixture
def server(clock: _Clock) -> KnownServer:
    return KnownServer(Breaker(clock=clock), clock=clock)


def _passed_over(server: KnownServer) -> ModelUnavailable | None:
    try:
        server.enter()
    except ModelUnavailable as error:
        return error.with_traceback(None)
    return None


def test_a_full_server_is_passed_over_for_as_long_as_it_says(server: KnownServer, clock: _Clock) -> None:
    server.paused(_busy(30.0))
    clock.now += 29.9
    error = _passed_over(server)

    assert isinstance(error, ModelBusy)
    assert error.retry_after_s == pytest.approx(0.1)
    assert (error.asked, server.is_ready) == (False, False)
    clock.now += 0.1
    assert (_passed_over(server), server.is_ready) == (None, True)


def test_a_full_server_that_does_not_say_how_long_may_be_asked_at_once(server: KnownServer) -> None:
    server.paused(_busy(0.0))

    assert _passed_over(server) is None


def test_a_shorter_pause_does_not_end_a_longer_one_and_an_older_calls_answer_neither(server: KnownServer, clock: _Clock) -> None:
    server.paused(_busy(30.0))
    server.paused(_busy(1.0))
    server.answered()
    clock.now += 20.0

    assert _passed_over(server) is not None


def test_no_server_is_left_alone_for_longer_than_an_hour(server: KnownServer, clock: _Clock) -> None:
    error = _busy(86_400.0)
    server.paused(error)

    assert error.retry_after_s == 3600.0
    clock.now += 3600.0
    assert _passed_over(server) is None


def test_an_empty_account_is_asked_ever_more_seldom_and_calls_at_the_same_time_count_once(server: KnownServer, clock: _Clock) -> None:
    pauses: list[float] = []
    for _ in range(6):
        errors = [_empty() for _ in range(16)]
        for error in errors:
            server.paused(error)
        assert len({error.retry_after_s for error in errors}) == 1
        pauses.append(errors[0].retry_after_s)
        assert isinstance(_passed_over(server), OutOfQuota)
        clock.now += pauses[-1]

    assert pauses == [60.0, 120.0, 240.0, 480.0, 900.0, 900.0]


def test_after_an_answer_an_empty_account_begins_with_the_short_pause_again(server: KnownServer, clock: _Clock) -> None:
    for _ in range(3):
        server.paused(_empty())
        clock.now += 1000.0
    server.answered()
    error = _empty()
    server.paused(error)

    assert error.retry_after_s == 60.0


def test_an_empty_account_that_says_when_it_is_filled_is_asked_then(server: KnownServer) -> None:
    error = _empty(600.0)
    server.paused(error)

    assert error.retry_after_s == 600.0


def test_a_named_context_counts_for_an_hour(server: KnownServer, clock: _Clock) -> None:
    server.named(4096)
    before = server.context
    clock.now += 3600.0

    assert (before, server.context) == (4096, 0)
