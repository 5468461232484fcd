"""A platform that is down swallows nothing, one that throttles is not asked in vain, and one that lies does not get a message for ever."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.support import build
from tests.support.processes import until
from tests.support.stack import Stack

pytestmark = pytest.mark.slow

_PEOPLE = 16
_LASTS_S = 8.0
_UNANSWERED = "select count(*) from inbox i left join turns t on t.id = turn_id where kind = 'message' and t.finished_at is null"


def _accepted(stack: Stack) -> Counter[str]:
    return Counter(
        entry["to"].lstrip("+") for entry in stack.platform.log() if entry["kind"] == "message" and entry["outcome"] == "accepted"
    )


def _refused(stack: Stack) -> int:
    return sum(entry["kind"] == "message" and entry["outcome"] == "refused" for entry in stack.platform.log())


def _start(stack: Stack, **settings: str) -> None:
    stack.start_web()
    stack.start_dispatcher()
    stack.start_worker(CHINWAG_PROBE_LONGEST_S="2", CHINWAG_ANSWER_IF_YOUNGER_S="600", **settings)


def _say_during_it(stack: Stack, people: list[build.Person]) -> None:
    """Everybody writes within three quarters of the trouble, which then ends."""
    began = time.monotonic()
    for n, person in enumerate(people):
        until(lambda at=began + n * 0.75 * _LASTS_S / _PEOPLE: time.monotonic() >= at, what="the next person writes")
        stack.say(person, "hello")
    until(lambda: time.monotonic() - began > _LASTS_S, what="the trouble lasted long enough")


@pytest.mark.parametrize("fault", ["503", "close", "500"])
def test_every_answer_of_an_outage_is_sent_once_by_itself(stack: Stack, fault: str) -> None:
    _start(stack)
    people = [build.a_person() for _ in range(_PEOPLE)]
    stack.platform.script({"fault": fault, "always": True})
    _say_during_it(stack, people)
    tried = _refused(stack)
    assert stack.one("select state from send_limits where scope = 'account'") == "outage"
    stack.platform.unscript()
    stack.wait_settled(25)

    assert _accepted(stack) == {person.number: 1 for person in people}
    # Three in a row, those on their way meanwhile, and the probes.
    assert tried <= 12
    assert (
        stack.one("select count(*) from (select from send_attempts where outcome = 'unknown' group by message_id having count(*) > 1) x")
        == 0
    )


def test_the_pages_of_a_person_in_an_outage_stay_in_order(stack: Stack) -> None:
    _start(stack)
    person, others = build.a_person(), [build.a_person() for _ in range(4)]
    stack.platform.script({"fault": "close", "always": True})
    for other in others:
        stack.say(other, "hello")
    for word in ("first", "second", "third"):
        stack.say(person, word)
        # While it is being answered, one more message would be answered with it.
        until(lambda: not stack.one(_UNANSWERED), what="it was answered")
    stack.platform.unscript()
    # The invariants, checked afterwards, hold the order of turns against the platform's own log.
    stack.wait_settled(25)

    assert _accepted(stack)[person.number] == 3


def test_a_throttled_account_asks_seldom_and_everybody_gets_their_answer(stack: Stack) -> None:
    _start(stack)
    people = [build.a_person() for _ in range(_PEOPLE)]
    stack.platform.script({"fault": "130429", "always": True})
    _say_during_it(stack, people)
    stack.platform.unscript()
    refused = _refused(stack)
    stack.wait_settled(20)

    assert _accepted(stack) == {person.number: 1 for person in people}
    assert refused <= 10


def test_what_retry_after_asks_is_kept(stack: Stack) -> None:
    _start(stack)
    people = [build.a_person() for _ in range(6)]
    stack.platform.script({"fault": "130429", "retry_after_s": 4, "always": True})
    stack.say(people[0], "hello")
    until(lambda: _refused(stack) == 1, what="the first was refused")
    began = time.monotonic()
    stack.platform.unscript()
    for person in people[1:]:
        stack.say(person, "hello")
    until(lambda: bool(_accepted(stack)), what="the first was accepted")

    assert time.monotonic() - began > 3.5
    stack.wait_settled(20)
    assert _refused(stack) == 1


@contextmanager
def _liar(answer: dict[str, Any]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A platform that answers every message alike."""
    got: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if body.get("type") == "text":
                got.append(body)
            content = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", got
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    "answer",
    [{"messages": [{"id": "wamid.same"}]}, {"messages": [{"id": "x" * 10_000}]}, {"messages": [{"id": 7}]}],
    ids=["same", "long", "number"],
)
def test_a_platform_with_ids_that_cannot_be_stored_gets_each_message_once(stack: Stack, answer: dict[str, Any]) -> None:
    stack.settles = False
    with _liar(answer) as (url, got):
        _start(stack, CHINWAG_GRAPH_URL=url)
        people = [build.a_person() for _ in range(4)]
        for person in people:
            stack.say(person, "hello")
        until(lambda: len(got) == 4, what="each was sent", timeout_s=20)
        # Longer than the time after which an attempt is stale, and reconciled.
        began = time.monotonic()
        until(lambda: time.monotonic() - began > 10, what="nothing more was sent", timeout_s=15)

    assert Counter(body["to"].lstrip("+") for body in got) == {person.number: 1 for person in people}
    lost = stack.one("select count(*) from outbox where reason = 'not_stored'")
    assert lost >= 3
    printed = "".join(process.printed() for process in stack.processes.all if process.name.startswith("worker"))
    assert printed.count("outcome_not_stored") == lost
    assert "Traceback" not in printed
