"""A worker is killed while a transaction that several turns share is under way: each of them is answered once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support import build
from tests.support.crew import Hand
from tests.support.processes import until
from tests.support.proxy import Watch
from tests.support.stack import Stack

pytestmark = pytest.mark.slow

_PEOPLE = 8
#: The first of a kind goes alone; those that come meanwhile share the next one.
_POINTS: dict[str, Callable[[Hand], Watch]] = {
    "after the claims": lambda hand: hand.database.hold_reply(b"claim_turns", has=b'"token"', skip=1),
    "before the finishes": lambda hand: hand.database.hold(b"finish_turns", skip=1),
    "after the finishes": lambda hand: hand.database.hold_reply(b"finish_turns", skip=1),
    "before the acceptances": lambda hand: hand.database.hold(b"end_attempts", skip=1),
    "after the acceptances": lambda hand: hand.database.hold_reply(b"end_attempts", skip=1),
}


@pytest.mark.parametrize("point", _POINTS)
def test_each_turn_of_a_group_is_answered_once(stack: Stack, point: str) -> None:
    stack.model.script(latency_s=0.3, answer="Hello!")
    stack.start_web()
    hand = Hand(stack, "a").start()
    people = [build.a_person() for _ in range(_PEOPLE)]
    for person in people:
        stack.say(person, "hello")
    watch = _POINTS[point](hand)
    # All are due by now, and come at once.
    stack.start_dispatcher()
    until(watch.seen.is_set, what=f"the worker came to the point {point!r}", timeout_s=20)
    hand.process.kill()
    watch.drop()
    hand.start()
    stack.wait_settled(30)

    assert [len(stack.platform.texts_to(person.number)) for person in people] == [1] * _PEOPLE
    # Several turns did share a transaction: attempts that it journaled have its time.
    assert stack.one("select max(n) from (select count(*) as n from send_attempts group by started_at) x") > 1
