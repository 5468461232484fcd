"""Who has to go where connections, bytes or time run short: pure, with a clock of its own."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from bots.errors import BadSetting
from bots.web.serving.connections import BODIES_OF_A_SOURCE, LONGEST_S, Connections, Slot, Stage
from bots.web.serving.sources import Sources


@dataclass
class _World:
    places: int = 10
    held_bytes: int = 1000
    now: float = 0.0
    refused: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    expired: list[str] = field(default_factory=list[str])
    resumed: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        self.connections = Connections(places=self.places, held_bytes=self.held_bytes, clock=lambda: self.now)

    def enter(self, name: str, source: str = "1.1.1.1", stage: Stage = Stage.NEW) -> Slot:
        def refuse(status: int) -> None:
            self.refused.append((name, status))
            self.connections.move(slot, Stage.LEAVING)
            self.connections.hold(slot, 0)

        slot = Slot(source=source, refuse=refuse, expire=lambda: self.expired.append(name), resume=lambda: self.resumed.append(name))
        self.connections.count += 1
        self.connections.enter(slot)
        if stage is not Stage.NEW:
            self.connections.move(slot, stage)
        return slot


def test_a_place_is_made_by_the_oldest_of_the_source_that_takes_most() -> None:
    world = _World()
    world.enter("honest", source="2.2.2.2")
    for name in ("first", "second", "third"):
        world.now += 1
        world.enter(name)

    assert world.connections.make_place()
    assert world.connections.make_place()
    assert world.refused == [("first", 503), ("second", 503)]


def test_who_is_worked_for_never_has_to_go() -> None:
    world = _World()
    world.enter("at work", stage=Stage.WORK)

    assert not world.connections.make_place()
    assert world.refused == []


def test_a_connection_that_asks_again_counts_as_waiting_from_then_on() -> None:
    world = _World()
    old = world.enter("old")
    world.now += 1
    world.enter("newer")
    world.connections.move(old, Stage.WORK)
    world.connections.move(old, Stage.IDLE)

    world.connections.make_place()

    assert world.refused == [("newer", 503)]


@pytest.mark.parametrize("stage", [stage for stage in Stage if stage is not Stage.WORK])
def test_each_wait_has_an_end(stage: Stage) -> None:
    world = _World()
    world.enter("one", stage=stage)
    world.now += LONGEST_S[stage] - 0.1
    world.connections.sweep()
    assert world.expired == []

    world.now += 0.2
    world.connections.sweep()

    assert world.expired == ["one"]


def test_work_takes_as_long_as_it_takes() -> None:
    world = _World()
    world.enter("one", stage=Stage.WORK)
    world.now += 10_000
    world.connections.sweep()

    assert world.expired == []


def test_a_slow_head_has_no_more_time_than_a_silent_connection() -> None:
    world = _World()
    slot = world.enter("one")
    world.now += 9
    world.connections.move(slot, Stage.HEAD)
    world.now += 2
    world.connections.sweep()

    assert world.expired == ["one"]


def test_of_a_sources_bodies_that_make_no_progress_the_slowest_go() -> None:
    world = _World()
    for n in range(BODIES_OF_A_SOURCE + 2):
        world.now += 0.01
        world.enter(f"body {n}", stage=Stage.BODY)
    other = world.enter("other", source="2.2.2.2", stage=Stage.BODY)
    world.connections.sweep()
    assert world.refused == []

    world.now += 2
    world.connections.progress(other)
    world.connections.sweep()

    assert world.refused == [("body 0", 429), ("body 1", 429)]


def test_a_burst_of_bodies_that_make_progress_is_not_bounded() -> None:
    world = _World()
    slots = [world.enter(f"body {n}", stage=Stage.BODY) for n in range(200)]
    for _ in range(5):
        world.now += 0.5
        for slot in slots:
            world.connections.progress(slot)
        world.connections.sweep()

    assert world.refused == []


def test_bytes_are_freed_by_who_holds_most_and_sends_no_more() -> None:
    world = _World()
    few = world.enter("few", source="2.2.2.2", stage=Stage.BODY)
    assert world.connections.hold(few, 300)
    most = world.enter("most", stage=Stage.BODY)
    assert world.connections.hold(most, 600)
    world.now += 2
    world.connections.sweep()
    more = world.enter("more", source="3.3.3.3", stage=Stage.BODY)

    assert world.connections.hold(more, 400)
    assert world.refused == [("most", 503)]
    assert world.connections.held == 700


def test_who_finds_no_room_waits_and_goes_on_once_there_is_some() -> None:
    world = _World()
    first = world.enter("first", stage=Stage.BODY)
    world.connections.hold(first, 900)
    second = world.enter("second", stage=Stage.BODY)
    assert not world.connections.hold(second, 200)
    world.connections.pause(second)
    assert world.resumed == []

    world.connections.move(first, Stage.WORK)
    world.connections.hold(first, 0)

    assert world.resumed == ["second"]
    assert world.refused == []


def test_room_goes_to_the_smallest_that_waits_and_is_kept_for_it() -> None:
    world = _World()
    working = world.enter("working", stage=Stage.WORK)
    world.connections.hold(working, 1000)
    slots: dict[str, Slot] = {}
    for name, wants in (("large", 250), ("small", 100), ("larger", 250)):
        slots[name] = world.enter(name, stage=Stage.BODY)
        slots[name].wants = wants
        assert not world.connections.hold(slots[name], 10)
        world.connections.pause(slots[name])
    world.connections.hold(working, 600)

    assert world.resumed == ["small", "large"]
    # However little of it is there yet, nobody else takes it.
    assert world.connections.held == 600 + 100 + 250 + 10
    assert world.connections.hold(slots["small"], 60)
    assert world.connections.held == 960
    world.connections.move(slots["small"], Stage.WORK)
    world.connections.hold(slots["small"], 0)
    world.connections.hold(slots["large"], 0)
    assert world.resumed == ["small", "large", "larger"]
    assert world.refused == []


def test_who_has_room_and_sends_no_more_makes_way_for_those_that_wait() -> None:
    world = _World()
    idle = [world.enter(f"idle {n}", stage=Stage.BODY) for n in range(4)]
    for slot in idle:
        world.connections.hold(slot, 250)
    world.now += 0.6
    waiting = world.enter("waiting", stage=Stage.BODY)
    waiting.wants = 200
    assert not world.connections.hold(waiting, 20)
    world.connections.pause(waiting)
    world.connections.sweep()
    assert (world.refused, world.resumed) == ([], [])

    world.now += 0.6
    world.connections.sweep()

    assert (world.refused, world.resumed) == ([("idle 0", 503)], ["waiting"])


def test_who_waits_for_its_step_is_not_late() -> None:
    world = _World()
    slots = [world.enter(f"body {n}", stage=Stage.BODY) for n in range(BODIES_OF_A_SOURCE + 2)]
    for slot in slots:
        slot.is_queued = True
    world.now += 2
    world.connections.sweep()

    assert world.refused == []


@pytest.mark.parametrize(
    ("peer", "forwarded", "source"),
    [
        ("1.2.3.4", None, "1.2.3.4"),
        ("1.2.3.4", "9.9.9.9", "1.2.3.4"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "9.9.9.9", "9.9.9.9"),
        ("10.0.0.1", "6.6.6.6, 9.9.9.9", "9.9.9.9"),
        ("10.0.0.1", "6.6.6.6, 9.9.9.9, 10.0.0.2", "9.9.9.9"),
        ("10.0.0.1", "9.9.9.9:4711", "9.9.9.9"),
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", "9.9.9.9, unknown", "10.0.0.1"),
        ("10.0.0.1", ",,,", "10.0.0.1"),
        ("::ffff:10.0.0.1", "9.9.9.9", "9.9.9.9"),
        ("2001:db8:1:2:3::4", None, "2001:db8:1:2::/64"),
        ("10.0.0.1", "[2001:db8:1:2:3::4]:443", "2001:db8:1:2::/64"),
        ("/run/web.sock", "9.9.9.9", "/run/web.sock"),
    ],
)
def test_the_source_is_who_the_last_untrusted_hop_was(peer: str, forwarded: str | None, source: str) -> None:
    headers = [] if forwarded is None else [(b"x-forwarded-for", forwarded.encode())]

    assert Sources("10.0.0.0/24, ::1").of(peer, headers) == source


def test_proxies_that_are_no_addresses_are_a_bad_setting() -> None:
    with pytest.raises(BadSetting, match="CHINWAG_WEB_TRUSTED_PROXIES"):
        Sources("proxy.example")
