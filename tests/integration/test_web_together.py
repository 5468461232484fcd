"""Webhooks that arrive while another is being stored go together, and each gets its own answer, after its own commit, whatever happens to the others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import httpx
import pytest

from tests.support import build
from tests.support.processes import until
from tests.support.proxy import FaultProxy
from tests.support.stack import WINDOWS, Stack

_STORE = b"accept_many"


@pytest.fixture
def crowd() -> Iterator[ThreadPoolExecutor]:
    """Threads that post at the same time."""
    with ThreadPoolExecutor(40) as pool:
        yield pool


@pytest.fixture
def proxy(stack: Stack) -> Iterator[FaultProxy]:
    """What stands between the web and Postgres; only the web runs, and it has stored one webhook."""
    stack.settles = False
    found = stack.database_proxy()
    stack.start_web(**stack.cluster.addresses(stack.database, proxy_port=found.port))
    assert _post(stack, _hello()) == 200
    yield found
    found.set("pass")


def _hello(words: str = "hello") -> bytes:
    person = build.a_person()
    return build.a_webhook(messages=[build.a_text(person, words)], people=[person])


def _post(stack: Stack, body: bytes, *, secret: str = build.APP_SECRET, account: str = "test") -> int:
    address = f"{stack.web_url}/webhooks/whatsapp/{account}"
    return httpx.post(address, content=body, headers=build.sign(body, secret), timeout=30, trust_env=False).status_code


def _all(stack: Stack, crowd: ThreadPoolExecutor, bodies: list[bytes]) -> list[Future[int]]:
    return [crowd.submit(_post, stack, body) for body in bodies]


def _stored(stack: Stack) -> tuple[int, int]:
    """How many messages, and in how many transactions."""
    return stack.one("select count(*) from inbox"), stack.one("select count(distinct xmin::text) from inbox")


def test_what_arrives_meanwhile_goes_together_and_each_gets_its_own_answer(
    stack: Stack, proxy: FaultProxy, crowd: ThreadPoolExecutor
) -> None:
    watches = [proxy.hold(_STORE) for _ in range(2)]
    first = crowd.submit(_post, stack, _hello("first"))
    watches[0].wait()
    good = _all(stack, crowd, [_hello(f"beside {n}") for n in range(20)])
    # One of them, or those that came with it, go beside the first. The others wait for whichever ends first.
    watches[1].wait()
    odd = crowd.submit(_post, stack, b"this is no JSON")
    # These wait for nobody.
    assert crowd.submit(_post, stack, _hello(), secret="somebody else's").result(10) == 401
    assert crowd.submit(_post, stack, _hello(), account="nobody").result(10) == 404
    assert odd.result(10) == 200
    until(lambda: stack.one("select count(*) from envelopes where state = 'quarantined'") == 1, what="the odd one was stored")
    assert not any(one.done() for one in (first, *good))
    for watch in watches:
        watch.release()

    assert {one.result() for one in (first, *good)} == {200}
    messages, transactions = _stored(stack)
    assert messages == 22
    # Those that had not yet come in when the first was released are a group, or a few, of their own.
    assert transactions <= 10


def test_what_postgres_holds_up_is_answered_later_and_those_beside_it_now(
    stack: Stack, proxy: FaultProxy, crowd: ThreadPoolExecutor
) -> None:
    watch = proxy.hold(_STORE)
    slow = crowd.submit(_post, stack, _hello("slow"))
    watch.wait()
    for n in range(5):
        assert {one.result(10) for one in _all(stack, crowd, [_hello(f"{n}, {m}") for m in range(6)])} == {200}

    assert not slow.done()
    watch.release()
    assert slow.result() == 200


def test_connections_that_end_while_nobody_writes_cost_nobody_an_answer(stack: Stack, crowd: ThreadPoolExecutor) -> None:
    stack.settles = False
    stack.start_web()
    for n in range(3):
        assert {one.result() for one in _all(stack, crowd, [_hello(f"{n}, {m}") for m in range(8)])} == {200}
        ended = "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = current_database() and application_name = 'chinwag-web together'"
        assert stack.one(ended) > 0
        assert _post(stack, _hello("afterwards")) == 200

    assert _stored(stack)[0] == 27


def test_after_each_of_a_group_more_is_waited_for_as_its_words_say(stack: Stack, proxy: FaultProxy, crowd: ThreadPoolExecutor) -> None:
    watch = proxy.hold(_STORE)
    first = crowd.submit(_post, stack, _hello("first"))
    watch.wait()
    words = ("When do you open?", "thanks", "Good evening")
    answers = _all(stack, crowd, [_hello(said) for said in words])
    watch.release()

    assert {one.result() for one in (first, *answers)} == {200}
    waits = "select round(extract(epoch from v.ready_at - v.newest_at) / :unit) from conversations v join inbox i on i.conversation_id = v.id where i.text = :said"
    assert [stack.one(waits, said=said, unit=float(WINDOWS["CHINWAG_DEBOUNCE_S"])) for said in words] == [0, 1, 3]


def test_large_bodies_beside_small_ones_are_stored_whole_and_keep_nobody_waiting(
    stack: Stack, proxy: FaultProxy, crowd: ThreadPoolExecutor
) -> None:
    statuses = [build.a_status(f"wamid.X{n}", step, to="15550001111") for n in range(100) for step in ("sent", "delivered", "read")]
    person = build.a_person()
    lines = [build.a_text(person, f"line {n}") for n in range(20)]
    padded = json.loads(_hello("a large one")) | {"padding": "x" * 3_000_000}
    watch = proxy.hold(b"accept_events")
    large = crowd.submit(_post, stack, json.dumps(padded).encode())
    watch.wait()
    bulk = [
        crowd.submit(_post, stack, build.a_webhook(statuses=statuses)),
        crowd.submit(_post, stack, build.a_webhook(messages=lines, people=[person], statuses=[build.a_status("wamid.Y", "sent", to="1")])),
    ]

    assert {one.result() for one in (*bulk, *_all(stack, crowd, [_hello(f"number {n}") for n in range(16)]))} == {200}
    assert not large.done()
    watch.release()
    assert large.result() == 200
    assert (_stored(stack)[0], stack.one("select count(*) from statuses")) == (38, 301)
    assert stack.one("select count(distinct xmin::text) from statuses where external_id <> 'wamid.Y'") == 1


def test_an_answer_that_is_lost_after_the_commit_loses_and_doubles_nothing(
    stack: Stack, proxy: FaultProxy, crowd: ThreadPoolExecutor
) -> None:
    first = proxy.hold(_STORE)
    bodies = [_hello(f"number {n}") for n in range(16)]
    answers = _all(stack, crowd, bodies)
    first.wait()
    lost = proxy.hold_reply(_STORE)
    first.release()
    lost.wait()
    lost.drop()

    assert {one.result() for one in answers} == {200}
    assert _stored(stack)[0] == 17


def test_a_connection_that_breaks_before_the_commit_lets_each_try_alone(stack: Stack, proxy: FaultProxy, crowd: ThreadPoolExecutor) -> None:
    watch = proxy.hold(_STORE)
    answers = _all(stack, crowd, [_hello(f"number {n}") for n in range(8)])
    watch.wait()
    watch.drop()

    assert {one.result() for one in answers} == {200}
    assert _stored(stack)[0] == 9


def test_what_is_answered_with_503_while_postgres_is_away_changes_nothing_when_it_comes_again(
    stack: Stack, proxy: FaultProxy, crowd: ThreadPoolExecutor
) -> None:
    bodies = [_hello(f"number {n}") for n in range(16)]
    watch = proxy.hold(_STORE)
    answers = _all(stack, crowd, bodies)
    watch.wait()
    proxy.set("refuse")
    watch.drop()
    said = [one.result() for one in answers]

    assert set(said) <= {200, 503}
    assert 503 in said
    proxy.set("pass")
    for body, status in zip(bodies, said, strict=True):
        if status == 503:
            until(lambda body=body: _post(stack, body) == 200, what="it is taken after the outage", timeout_s=20)
    assert _stored(stack)[0] == 17
    assert stack.one("select count(*) from envelopes") == 17
