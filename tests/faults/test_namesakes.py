"""Two worker processes of one name, as when a service is started twice: each keeps what it has, whatever happens to the other."""

from __future__ import annotations

import time

import pytest

from tests.support import build
from tests.support.processes import until
from tests.support.stack import WINDOWS, Stack

pytestmark = pytest.mark.slow

_LEASE_S = float(WINDOWS["CHINWAG_LEASE_S"])
_SLOTS = int(WINDOWS["CHINWAG_WORKER_SLOTS"])
_ASKED_TWICE = "select count(*) from (select turn_id from model_calls group by turn_id having count(*) > 1) as turn"
_LEASED = "select count(*) from conversations where leased_until > now()"


def _namesakes(stack: Stack, count: int) -> None:
    alive = "select count(distinct boot_id) from worker_heartbeats where name = 'a@tests' and at > now() - interval '3 seconds'"
    until(lambda: stack.one(alive) == count, what=f"{count} of one name report", timeout_s=30)


def _crowd(stack: Stack, people: int) -> list[build.Person]:
    found = [build.a_person() for _ in range(people)]
    for person in found:
        stack.say(person, "hello")
    return found


def _answered_once(stack: Stack, people: list[build.Person]) -> None:
    stack.wait_settled(40)
    assert [len(stack.platform.texts_to(person.number)) for person in people] == [1] * len(people)


def test_two_living_processes_of_one_name_ask_for_each_turn_once_and_both_their_slots_count(stack: Stack) -> None:
    stack.model.script(latency_s=2.0, answer="Hello.")
    stack.start_web()
    stack.start_dispatcher()
    stack.start_worker("a", CHINWAG_LEASE_S="60")
    people = _crowd(stack, _SLOTS)
    until(lambda: stack.one(_LEASED) > 4, what="the first one is at work")
    stack.start_worker("a", CHINWAG_LEASE_S="60")
    _namesakes(stack, 2)
    people += _crowd(stack, 2 * _SLOTS)
    until(lambda: stack.one(_LEASED) > _SLOTS, what="more turns than one of them has slots", timeout_s=20)
    _answered_once(stack, people)

    assert stack.one(_ASKED_TWICE) == 0
    assert len(stack.model.log()) == len(people)


def test_the_successor_of_a_killed_one_takes_over_at_once_and_leaves_its_living_namesake_alone(stack: Stack) -> None:
    stack.model.script(latency_s=4.0, answer="Hello.")
    stack.start_web()
    stack.start_dispatcher()
    # So long a lease that only a dead process can explain a quick answer.
    workers = [stack.start_worker("a", CHINWAG_LEASE_S="60") for _ in range(2)]
    _namesakes(stack, 2)
    people = _crowd(stack, 2 * _SLOTS)
    by_boot = "select count(distinct leased_by) from conversations where leased_until > now()"
    until(lambda: stack.one(by_boot) == 2 and stack.one(_LEASED) > _SLOTS, what="both are at work", timeout_s=20)
    workers[0].kill()
    held = stack.one("select max(n) from (select count(*) as n from conversations where leased_until > now() group by leased_by) as boot")
    stack.start_worker("a", CHINWAG_LEASE_S="60")
    _answered_once(stack, people)

    # What the killed one held is claimed once more, and nothing of the living one.
    assert 0 < stack.one("select count(*) from turns where token > 1") <= held


def test_a_frozen_one_is_not_robbed_by_its_successor_before_its_leases_are_over(stack: Stack) -> None:
    stack.model.script(latency_s=0.3, answer="Hello.")
    stack.start_web()
    stack.start_dispatcher()
    frozen = stack.start_worker("a")
    stack.model.script(latency_s=_LEASE_S / 2, answer="Hello.")
    people = _crowd(stack, 3)
    until(lambda: stack.one(_LEASED) == 3, what="it is at work")
    frozen.freeze()
    leases_end = stack.one("select min(leased_until) from conversations")
    stack.start_worker("a", wait=False)
    until(lambda: stack.one("select count(*) from turns where state = 'answered'") == 3, what="the successor answered", timeout_s=30)
    claimed = stack.one("select min(claimed_at) from turns")
    frozen.thaw()
    began = time.monotonic()
    until(lambda: time.monotonic() - began > 1.0, what="it had time to send late")
    _answered_once(stack, people)

    assert claimed >= leases_end


def _asked_once(stack: Stack, people: list[build.Person]) -> None:
    _answered_once(stack, people)

    assert stack.one(_ASKED_TWICE) == 0
    assert len(stack.model.log()) == len(people)


def test_two_processes_that_start_with_one_name_at_once_share_nothing(stack: Stack) -> None:
    stack.model.script(latency_s=1.0, answer="Hello.")
    stack.start_web()
    stack.start_dispatcher()
    people = _crowd(stack, 3 * _SLOTS)
    for _ in range(2):
        stack.start_worker("a", wait=False, CHINWAG_LEASE_S="60")
    _namesakes(stack, 2)
    _asked_once(stack, people)

    assert stack.one("select count(distinct boot_id) from send_attempts") == 2


def test_a_process_whose_lock_lost_its_connection_keeps_its_turns_when_a_namesake_starts(stack: Stack) -> None:
    stack.model.script(latency_s=4.0, answer="Hello.")
    stack.start_web()
    stack.start_dispatcher()
    stack.start_worker("a", CHINWAG_LEASE_S="60", CHINWAG_HEARTBEAT_S="5")
    people = _crowd(stack, _SLOTS // 2)
    until(lambda: stack.one(_LEASED) == len(people), what="it is at work", timeout_s=20)
    ended = "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = 'chinwag-alive' and datname = current_database()"
    # The namesake reports for the first time, and again a second later, while the connection is lost again and again.
    stack.start_worker("a", wait=False, CHINWAG_LEASE_S="60")
    lost = 0
    while stack.one("select count(distinct boot_id) from worker_heartbeats where name = 'a@tests'") < 2:
        lost += stack.one(ended)
        until(lambda: stack.one(_LOCKS) >= 1, what="it is held again", timeout_s=5)
    lost += stack.one(ended)
    _asked_once(stack, people)

    assert lost >= 1


_LOCKS = (
    "select count(*) from pg_locks l join pg_stat_activity a on a.pid = l.pid where l.locktype = 'advisory' and l.granted"
    " and a.application_name = 'chinwag-alive' and a.datname = current_database()"
)
