"""G4: a worker that was frozen inside its model call cannot answer late."""

from __future__ import annotations

import threading
import time

from tests.support import build
from tests.support.crew import Hand, first_to_reach
from tests.support.processes import until
from tests.support.stack import WINDOWS, Stack

_LEASE_S = float(WINDOWS["CHINWAG_LEASE_S"])


def test_a_worker_frozen_beyond_its_lease_is_fenced_and_the_contact_gets_one_answer(stack: Stack) -> None:
    stack.start_web()
    stack.start_dispatcher()
    hands = [Hand(stack, "a").start(), Hand(stack, "b").start()]
    person = build.a_person()
    threading.Timer(0.2, stack.say, args=(person, "hello")).start()
    frozen, watch = first_to_reach("during the model call", hands)
    frozen.process.freeze()
    began = time.monotonic()
    watch.release()
    until(lambda: stack.platform.texts_to(person.number), timeout_s=_LEASE_S + 8, what="the other worker answered")
    until(lambda: time.monotonic() - began > _LEASE_S + 3, timeout_s=20, what="the freeze outlasted the lease")
    frozen.process.thaw()
    until(lambda: "turn_fenced" in frozen.process.printed(), what="the frozen worker found itself fenced")
    stack.wait_settled()

    assert len(stack.platform.texts_to(person.number)) == 1
    assert stack.one("select count(*) from turns") == 1


def test_a_worker_frozen_between_journal_and_bytes_does_not_send_late(stack: Stack) -> None:
    stack.start_web()
    stack.start_dispatcher()
    hand = Hand(stack, "a").start()
    person = build.a_person()
    threading.Timer(0.2, stack.say, args=(person, "hello")).start()
    _, watch = first_to_reach("after the commit", [hand])
    hand.process.freeze()
    watch.release()
    # Longer than the time that may pass between journal and bytes, shorter than the attempt's own end.
    began = time.monotonic()
    until(lambda: time.monotonic() - began > float(WINDOWS["CHINWAG_JOURNAL_TO_BYTES_S"]) + 1, what="the freeze was long enough")
    hand.process.thaw()
    stack.wait_settled(20)

    assert stack.one("select outcome from send_attempts order by n limit 1") == "not_sent"
    assert len(stack.platform.texts_to(person.number)) == 1
