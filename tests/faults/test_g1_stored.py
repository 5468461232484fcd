"""G1: a 200 means stored, also when the web is killed at any moment."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx

from tests.support import build
from tests.support.stack import Stack

_RATE = 50
_SECONDS = 14
_KILLS = 5


def test_what_got_200_is_stored_once_however_often_the_web_is_killed(stack: Stack, seed: random.Random) -> None:
    stack.settles = False  # nobody answers here
    people = [build.a_person() for _ in range(50)]
    local = threading.local()
    clients: list[httpx.Client] = []
    end = time.monotonic() + _SECONDS + 15

    def deliver(n: int) -> str | None:
        """Send like the platform: again until it is 200."""
        person = people[n % len(people)]
        message = build.a_text(person, build.marked(person, f"message {n}"))
        body = build.a_webhook(messages=[message], people=[person])
        while time.monotonic() < end:
            if not hasattr(local, "client"):
                local.client = httpx.Client(timeout=5, trust_env=False)
                clients.append(local.client)
            try:
                if local.client.post(stack.hook, content=body, headers=build.sign(body)).status_code == 200:
                    return message["id"]
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        return None

    kills = sorted(seed.uniform(1, _SECONDS - 1) for _ in range(_KILLS))
    web = stack.start_web()
    began = time.monotonic()
    with ThreadPoolExecutor(24) as pool:
        sent = []
        for n in range(_RATE * _SECONDS):
            due = began + n / _RATE
            if kills and time.monotonic() - began > kills[0]:
                kills.pop(0)
                web.kill()
                web = stack.processes.start("web", ["bots.web"], stack.env)
            time.sleep(max(0.0, due - time.monotonic()))
            sent.append(pool.submit(deliver, n))
        answered = [future.result() for future in sent]
    for client in clients:
        client.close()
    stack.accepted |= {wamid for wamid in answered if wamid}

    assert None not in answered
    assert stack.one("select count(*) from inbox") == _RATE * _SECONDS
