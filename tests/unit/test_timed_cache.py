"""What a process keeps for a while: how old it may be, and who waits for it."""

from __future__ import annotations

from datetime import timedelta
from threading import Event, Thread

import pytest

from workers.timed_cache import TimedCache


class _Clock:
    def __init__(self) -> None:
        self.now = timedelta()

    def __call__(self) -> float:
        return self.now.total_seconds()


def _cache(clock: _Clock, *, most: int = 9) -> TimedCache[str, float]:
    return TimedCache(fresh_s=10, stale_s=30, most=most, clock=clock)


def test_a_value_is_read_again_once_it_is_old_and_not_before() -> None:
    clock, read = _Clock(), iter([1.0, 2.0, 3.0])
    cache = _cache(clock)

    def value() -> float:
        return cache.get("bot", lambda: next(read))

    found = [value(), value()]
    clock.now += timedelta(seconds=9.9)
    found.append(value())
    clock.now += timedelta(seconds=0.2)
    found.append(value())

    assert found == [1.0, 1.0, 1.0, 2.0]


def test_while_one_thread_reads_a_value_again_the_others_go_on_with_the_old_one() -> None:
    clock, reading, go = _Clock(), Event(), Event()
    cache = _cache(clock)
    cache.get("bot", lambda: 1.0)
    clock.now += timedelta(seconds=11)

    def slow() -> float:
        reading.set()
        go.wait(10)
        return 2.0

    reader = Thread(target=cache.get, args=("bot", slow))
    reader.start()
    assert reading.wait(10)
    meanwhile = cache.get("bot", lambda: 99.0)
    go.set()
    reader.join(10)

    assert meanwhile == 1.0
    assert cache.get("bot", lambda: 99.0) == 2.0


def test_what_cannot_be_read_is_told_and_read_the_next_time() -> None:
    clock = _Clock()
    cache = _cache(clock)

    def broken() -> float:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        cache.get("bot", broken)
    assert cache.get("bot", lambda: 2.0) == 2.0


def test_no_more_than_so_many_values_are_kept() -> None:
    cache, read = _cache(_Clock(), most=2), iter(range(9))
    found = [cache.get(key, lambda: next(read)) for key in ("a", "b", "a", "c", "c", "a")]

    assert found == [0, 1, 0, 2, 2, 3]
