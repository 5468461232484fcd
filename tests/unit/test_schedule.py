"""Strangers share the event loop: one step in each pass, first for whoever has had least, and for nobody a wait without end."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bots.web.serving.connections import Slot
from bots.web.serving.listener import is_whole
from bots.web.serving.schedule import Schedule


class _Loop:
    """Passes of an event loop, one by one."""

    def __init__(self) -> None:
        self.coming: list[Callable[[], None]] = []
        self.schedule = Schedule(self.coming.append)
        self.done: list[str] = []

    def wants(self, slot: Slot, name: str) -> None:
        def step() -> bool:
            self.done.append(name)
            return not name.startswith("gone")

        self.schedule.step(slot, step)

    def passes(self) -> int:
        """Let all of them go by, and say how many there were."""
        count = 0
        while self.coming:
            count += 1
            now, self.coming[:] = self.coming[:], []
            for call in now:
                call()
        return count


def _slot(source: str = "1.1.1.1", *, steps: int = 0, is_known: bool = False) -> Slot:
    return Slot(source=source, refuse=lambda _: None, expire=lambda: None, resume=lambda: None, steps=steps, is_known=is_known)


def test_the_first_goes_at_once_and_each_other_in_a_pass_of_its_own() -> None:
    loop = _Loop()
    for name in "abc":
        loop.wants(_slot(), name)

    assert loop.done == ["a"]
    assert loop.passes() == 3
    assert loop.done == ["a", "b", "c"]


def test_who_has_had_least_goes_first_however_long_others_wait() -> None:
    loop = _Loop()
    loop.wants(_slot(), "now")
    for steps, name in ((9, "much"), (1, "little"), (3, "some"), (0, "nothing")):
        loop.wants(_slot(steps=steps), name)
    loop.passes()

    assert loop.done == ["now", "nothing", "little", "some", "much"]


def test_sources_take_turns_and_one_that_sends_more_waits_for_itself() -> None:
    loop = _Loop()
    loop.wants(_slot(), "now")
    for n in range(4):
        loop.wants(_slot("1.1.1.1"), f"many {n}")
    loop.wants(_slot("2.2.2.2"), "one")
    loop.passes()

    assert loop.done == ["now", "many 0", "one", "many 1", "many 2", "many 3"]


def test_who_has_had_most_still_gets_on_while_others_keep_coming() -> None:
    loop = _Loop()
    loop.wants(_slot(), "now")
    loop.wants(_slot(steps=100), "greedy")
    for n in range(20):
        loop.wants(_slot(), f"fresh {n}")
    loop.passes()

    assert loop.done.index("greedy") <= 8


def test_whoever_is_known_waits_for_nobody_and_takes_nothing_from_others() -> None:
    loop = _Loop()
    loop.wants(_slot(is_known=True), "known")
    loop.wants(_slot(), "stranger")
    loop.wants(_slot(is_known=True), "known again")

    assert loop.done == ["known", "stranger", "known again"]


def test_those_that_have_gone_take_no_pass() -> None:
    loop = _Loop()
    loop.wants(_slot(), "now")
    for name in ("gone 1", "gone 2", "here"):
        loop.wants(_slot(), name)

    assert loop.passes() == 2
    assert loop.done == ["now", "gone 1", "gone 2", "here"]


def test_a_crowd_that_has_gone_is_worked_off_in_portions() -> None:
    loop = _Loop()
    loop.wants(_slot(), "now")
    for n in range(1000):
        loop.wants(_slot(), f"gone {n}")
    loop.wants(_slot(), "here")

    assert 10 < loop.passes() < 30
    assert loop.done[-1] == "here"


def test_a_connection_is_marked_while_it_waits() -> None:
    loop, waiting = _Loop(), _slot()
    loop.wants(_slot(), "now")
    loop.wants(waiting, "later")

    assert waiting.is_queued
    loop.passes()
    assert not waiting.is_queued
    assert waiting.steps == 1


@pytest.mark.parametrize(
    ("start", "is_it"),
    [
        (b"", False),
        (b"G", False),
        (b"\x16\x03\x01\x02\x00", False),
        (b"GET / HTTP/1.1\r\nHost: a\r\n", False),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", True),
        (b"POST / HTTP/1.1\r\ncontent-LENGTH:  3\r\n\r\nab", False),
        (b"POST / HTTP/1.1\r\nContent-Length:3\r\nHost: a\r\n\r\nabc", True),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\nabc", False),
        (b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\nabc", True),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", False),
    ],
)
def test_who_sends_half_a_request_is_known_by_its_beginning(start: bytes, *, is_it: bool) -> None:
    assert is_whole(start) == is_it
