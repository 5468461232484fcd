"""The last answer always covers the last message, under random interleavings and kills."""

from __future__ import annotations

import random
import threading
import time

from tests.support import build
from tests.support.stack import Stack

_SECONDS = 12.0
_CONTACTS = 8


def _talk(stack: Stack, person: build.Person, seed: random.Random, last: dict[str, str]) -> None:
    """Say things at odd moments, some while the model is at work."""
    end = time.monotonic() + _SECONDS
    n = 0
    while time.monotonic() < end:
        n += 1
        last[person.number] = stack.say(person, f"message {n}")
        time.sleep(seed.choice((0.0, 0.05, 0.2, 0.6, 1.5)))


def test_the_last_answer_covers_the_last_message_whatever_is_killed(stack: Stack, seed: random.Random) -> None:
    stack.start_web()
    stack.start_dispatcher()
    workers = {name: stack.start_worker(name) for name in ("a", "b")}
    people = [build.a_person(f"P{n}") for n in range(_CONTACTS)]
    last: dict[str, str] = {}
    seeds = [random.Random(seed.random()) for _ in people]
    talks = [threading.Thread(target=_talk, args=(stack, person, own, last)) for person, own in zip(people, seeds, strict=True)]
    for talk in talks:
        talk.start()
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        time.sleep(seed.uniform(1.0, 3.0))
        name = seed.choice(sorted(workers))
        workers[name].kill()
        workers[name] = stack.start_worker(name)
    for talk in talks:
        talk.join()
    stack.wait_settled(25)
    newest = {
        row["number"]: row["turn"]
        for row in stack.rows("""
            select distinct on (x.value) x.value as number, o.turn_id as turn from outbox o
            join contact_identities x on x.contact_id = o.contact_id and x.kind = 'phone' order by x.value, o.seq desc
        """)
    }

    assert {person.number: stack.turn_of(last[person.number]) for person in people} == {k.lstrip("+"): v for k, v in newest.items()}
