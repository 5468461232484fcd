"""G3: a worker killed in the middle of a reply loses nothing and answers once, at six points of the turn."""

from __future__ import annotations

import threading
import time

import pytest

from tests.support import build
from tests.support.crew import POINTS, Hand, first_to_reach
from tests.support.stack import WINDOWS, Stack

pytestmark = pytest.mark.slow

_LEASE_S = float(WINDOWS["CHINWAG_LEASE_S"])
#: From here on the journal says "sending": what a dead process left is unknown after the send deadline + 5 s, and then reconciled.
_JOURNALED = ("after the commit", "before the send", "after the platform took it")
_RECONCILED_S = float(WINDOWS["CHINWAG_SEND_DEADLINE_S"]) + 5.0 + float(WINDOWS["CHINWAG_RECONCILE_S"])


def _say_and_kill(stack: Stack, person: build.Person, point: str, hands: list[Hand]) -> Hand:
    # The watch must stand before the message is there, and it waits: so the message is said from beside it.
    saying = threading.Timer(0.2, stack.say, args=(person, "hello"))
    saying.start()
    victim, watch = first_to_reach(point, hands)
    victim.process.kill()
    watch.drop()
    saying.join()
    return victim


@pytest.mark.parametrize("point", POINTS)
def test_another_worker_answers_once_within_the_lease(stack: Stack, point: str) -> None:
    stack.start_web()
    stack.start_dispatcher()
    hands = [Hand(stack, "a").start(), Hand(stack, "b").start()]
    person = build.a_person()
    _say_and_kill(stack, person, point, hands)
    killed = time.monotonic()
    stack.wait_settled(25)

    assert len(stack.platform.texts_to(person.number)) == 1
    assert time.monotonic() - killed < (_RECONCILED_S if point in _JOURNALED else _LEASE_S) + 2.0


@pytest.mark.parametrize("point", POINTS)
def test_its_own_restart_answers_once_within_five_seconds(stack: Stack, point: str) -> None:
    stack.start_web()
    stack.start_dispatcher()
    # A lease so long that only the new boot can explain the quick answer.
    hand = Hand(stack, "a").start(CHINWAG_LEASE_S="60")
    person = build.a_person()
    _say_and_kill(stack, person, point, [hand])
    killed = time.monotonic()
    hand.start(CHINWAG_LEASE_S="60")
    started = time.monotonic()
    stack.wait_settled(25)
    ended = time.monotonic()

    assert len(stack.platform.texts_to(person.number)) == 1
    assert ended - started < 5.0 if point not in _JOURNALED else ended - killed < _RECONCILED_S + 5.0
