"""G6: Redis down or frozen does not block receiving, and what was received is answered once Redis is back."""

from __future__ import annotations

import contextlib
import os
import signal
import time

from tests.support import build
from tests.support.stack import Stack

_MESSAGES = 200


def _p99(stack: Stack, count: int, people: list[build.Person]) -> float:
    took = []
    for n in range(count):
        message = build.a_text(people[n % len(people)], build.marked(people[n % len(people)], f"message {n}"))
        body = build.a_webhook(messages=[message], people=[people[n % len(people)]])
        began = time.monotonic()
        assert stack.post(body) == 200
        took.append(time.monotonic() - began)
        stack.accepted.add(message["id"])
    return sorted(took)[int(len(took) * 0.99) - 1]


def test_a_frozen_redis_does_not_slow_down_or_lose_a_webhook(stack: Stack) -> None:
    stack.start_web()
    stack.start_dispatcher()
    stack.start_worker()
    people = [build.a_person() for _ in range(20)]
    calm = _p99(stack, _MESSAGES, people)
    os.kill(stack.redis.child.pid, signal.SIGSTOP)
    try:
        frozen = _p99(stack, _MESSAGES, people)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(stack.redis.child.pid, signal.SIGCONT)
    stack.wait_settled(25)

    # The web has no connection to Redis; what is left is the noise of a busy machine.
    assert frozen < max(0.25, 3 * calm)
