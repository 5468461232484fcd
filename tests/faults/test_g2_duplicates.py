"""G2: duplicates and disorder do not matter, neither of messages nor of statuses."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx

from tests.support import build
from tests.support.processes import until
from tests.support.stack import Stack

_MESSAGES = 300
_CONTACTS = 40


def _deliveries(seed: random.Random, people: list[build.Person]) -> tuple[dict[str, str], list[bytes]]:
    """The POSTs: batches of 1 to 4 messages, each batch 1 to 5 times, some rebatched, all shuffled."""
    messages = []
    for n in range(_MESSAGES):
        person = seed.choice(people)
        messages.append((person, build.a_text(person, build.marked(person, f"message {n}"))))
    bodies: list[bytes] = []
    left = list(messages)
    while left:
        batch, left = left[: (size := seed.randint(1, 4))], left[size:]
        for _ in range(seed.randint(1, 5)):
            again = seed.sample(batch, len(batch))
            bodies.append(build.a_webhook(messages=[message for _, message in again], people={person for person, _ in again}))
    seed.shuffle(bodies)
    return {message["id"]: person.number for person, message in messages}, bodies


def test_each_message_counts_once_however_often_and_in_whatever_order_it_comes(stack: Stack, seed: random.Random) -> None:
    people = [build.a_person(f"P{n}") for n in range(_CONTACTS)]
    wamids, bodies = _deliveries(seed, people)
    # Statuses come twice, and before the answer of their own send.
    stack.platform.script({"fault": "status_before_response", "status_times": 2, "always": True})
    stack.start_web()
    stack.start_dispatcher()
    stack.start_worker("a")
    stack.start_worker("b")
    local = threading.local()
    clients: list[httpx.Client] = []

    def deliver(body: bytes) -> int:
        if not hasattr(local, "client"):
            local.client = httpx.Client(timeout=10, trust_env=False)
            clients.append(local.client)
        for _ in range(50):
            status = local.client.post(stack.hook, content=body, headers=build.sign(body)).status_code
            if status == 200:
                break
        return status

    with ThreadPoolExecutor(8) as pool:
        answers = set(pool.map(deliver, bodies))
    for client in clients:
        client.close()
    stack.accepted |= set(wamids)
    stack.wait_settled(30)

    assert answers == {200}
    assert stack.one("select count(*) from inbox where kind = 'message'") == _MESSAGES
    assert stack.one("select count(*) from contacts") == len(set(wamids.values()))
    # A status that the web had no room for (503) is sent again by the platform, a moment after everything else is settled.
    undelivered = "select count(*) from outbox where status not in ('delivered', 'read')"
    until(lambda: stack.one(undelivered) == 0, what="every status was taken", timeout_s=20)
