"""Tasks on the way: a worker takes as many as it has slots, and Redis holds only those that nobody has taken."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from redis import Redis

from bots.settings import Settings
from chinwag.local.redis import start_redis
from workers.app import make

_QUEUE = "reply.default"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis of its own."""
    running = start_redis(tmp_path_factory.mktemp("redis"))
    yield running.url
    running.stop()


@pytest.fixture
def redis(address: str) -> Iterator[Any]:
    """Its client; nothing is in it."""
    made: Any = Redis
    with made.from_url(address.replace("redis+socket", "unix")) as client:
        client.flushall()
        yield client


class _Worker:
    """What Celery does for so many slots: it takes tasks, and acknowledges each when it has ended."""

    def __init__(self, address: str, *, slots: int) -> None:
        app: Any = make(Settings(redis_url=address))
        self._connection = app.connection_for_read()
        self.taken: list[Any] = []
        channel = self._connection.channel()
        channel.basic_qos(prefetch_count=slots)
        self._consumer = app.amqp.TaskConsumer(channel, queues=[app.amqp.queues[_QUEUE]], on_message=self.taken.append)
        self._consumer.consume()

    def take(self) -> int:
        """Take what there is, and return how many it holds."""
        with suppress(socket.timeout):
            while True:
                self._connection.drain_events(timeout=0.3)
        return len(self.taken)

    def close(self) -> None:
        """End as a worker that stops."""
        self._connection.close()


def _publish(address: str, count: int) -> None:
    app: Any = make(Settings(redis_url=address))
    with app.connection_for_write() as connection:
        for _ in range(count):
            app.send_task("workers.work", args=[_QUEUE], queue=_QUEUE, connection=connection)


def test_a_worker_takes_as_many_as_it_has_slots_and_the_next_when_one_has_ended(address: str, redis: Any) -> None:
    _publish(address, 5)
    worker = _Worker(address, slots=2)
    try:
        first, left = worker.take(), redis.llen(_QUEUE)
        worker.taken[0].ack()
        then, left_then = worker.take(), redis.llen(_QUEUE)
        worker.taken[1].reject()
        last = worker.take()
    finally:
        worker.close()

    assert (first, left, then, left_then, last) == (2, 3, 3, 2, 4)


def test_what_was_taken_is_kept_nowhere_and_a_worker_that_ends_leaves_the_others_theirs(address: str, redis: Any) -> None:
    _publish(address, 3)
    worker = _Worker(address, slots=2)
    taken, keys = worker.take(), {key.decode() for key in redis.scan_iter()}
    worker.close()
    other = _Worker(address, slots=8)
    try:
        found = other.take()
    finally:
        other.close()

    assert (taken, found) == (2, 1)
    assert not [key for key in keys if "unacked" in key], keys
    assert _QUEUE in keys
