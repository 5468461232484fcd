"""Odd model servers in the whole service: what a person reads, which endpoint gave it, and what it counts for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bots.storage import endpoints
from bots.storage.endpoints import Form
from tests.support.cluster import Cluster
from tests.support.model_player import Server, cases, playing
from tests.support.models import add_endpoint
from tests.support.stack import WINDOWS, Stack
from tests.support.talk import Talk

_KINDS = ("ends", "broken", "finishes", "shapes", "usage")
_KNOWN = {(kind, case["name"]): case for kind in _KINDS for case in cases(kind)}
#: Cases whose server counts nothing.
_UNCOUNTED = {"missing", "silent-after-finish-without-counts"}
_SAYS, _ELSEWHERE = "The ferry leaves at seven.", "The other server says so."


def _well() -> dict[str, Any]:
    events = [
        f'data: {{"choices":[{{"index":0,"delta":{{"content":"{_ELSEWHERE}"}},"finish_reason":null}}]}}\n\n',
        "@stop",
        "@usage",
        "@done",
    ]
    return {"name": "well", "frames": events}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with playing([_well(), {"name": "odd", "frames": ["@words", "@stop", "@usage", "@done"]}]) as running:
        yield running


@pytest.fixture(scope="module")
def service(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory, server: Server) -> Iterator[Stack]:
    """One worker whose profile is the odd server, then one that works well. The invariants hold at the end."""
    quick = {"CHINWAG_DEBOUNCE_S": "0.02", "CHINWAG_DISPATCH_TICK_S": "0.03", "CHINWAG_MODEL_BREAKER_FAILURES": "1000"}
    with Stack(cluster, tmp_path_factory.mktemp("odd"), settings=WINDOWS | quick) as running:
        rows = [
            add_endpoint(running, Form(name=name, url=server.url(name), model="ferry", leaves_house=False, price_in=1.0, price_out=2.0))
            for name in ("odd", "well")
        ]
        with running.owner.begin() as connection:
            endpoints.set_profile(connection, rows[0].tenant_id, "default", [(n, row.id) for n, row in enumerate(rows)])
        running.start_web()
        running.start_dispatcher()
        running.start_worker()
        yield running
        running.wait_settled()
        running.check()


def _asked(service: Stack, server: Server, kind: str, name: str) -> tuple[list[str], dict[str, Any], list[dict[str, Any]]]:
    """Say something while the odd server plays this case; return what was read, the turn, and its calls."""
    server.cases["odd"] = _KNOWN[kind, name]
    talk = Talk(service)
    wamid = talk.say("When does the ferry leave?")
    read = talk.got(wamid)
    turn = talk.turn(wamid)
    return read, turn, service.rows("select * from model_calls where turn_id = :turn order by attempt", turn=turn["id"])


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("ends", "open-after-done"),
        ("ends", "cut-after-finish"),
        ("ends", "silent-after-finish-without-counts"),
        ("ends", "reset-after-done"),
        ("shapes", "choices-null"),
        ("shapes", "data-ping"),
        ("shapes", "content-parts"),
        ("shapes", "gzip"),
        ("shapes", "cr"),
        ("shapes", "untyped"),
        ("usage", "missing"),
        ("usage", "zero-last"),
    ],
)
def test_a_whole_answer_is_read_once_and_counted(service: Stack, server: Server, kind: str, name: str) -> None:
    read, turn, calls = _asked(service, server, kind, name)

    assert (read, turn["reason"]) == ([_SAYS], None)
    assert [(call["endpoint"], call["outcome"]) for call in calls] == [("odd", "ok")]
    assert calls[0]["tokens_in"] > 0
    assert calls[0]["tokens_out"] > 0
    assert calls[0]["cost"] > 0
    assert calls[0]["estimated"] is (name in _UNCOUNTED)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("broken", "clean-end-in-the-middle"),
        ("broken", "html"),
        ("broken", "error-event-flat"),
        ("broken", "error-list-full"),
        ("finishes", "abort means ModelUnavailable"),
        ("finishes", "error means ModelUnavailable"),
    ],
)
def test_a_broken_answer_is_asked_for_elsewhere_and_its_half_is_not_read(service: Stack, server: Server, kind: str, name: str) -> None:
    read, turn, calls = _asked(service, server, kind, name)

    assert (read, turn["reason"]) == ([_ELSEWHERE], None)
    assert [call["endpoint"] for call in calls] == ["odd", "well"]
    assert calls[0]["outcome"] != "ok"


def test_an_answer_that_ends_for_an_unknown_reason_is_marked_as_cut(service: Stack, server: Server) -> None:
    read, turn, _ = _asked(service, server, "finishes", "something new means cut")

    assert (read, turn["reason"]) == ([_SAYS], "cut")
