"""The web's pure parts: who counts as local, what logs keep, how notices find their page, what limits let through."""

from __future__ import annotations

import json
from uuid import UUID, uuid4

import pytest
from starlette.requests import Request

from bots import telemetry
from bots.storage import chat
from bots.web.chat.live import Live
from bots.web.limits import Bucket, Full, Gate
from bots.web.loopback import is_local, is_same_origin


def _a_request(client: str = "127.0.0.1", **headers: str) -> Request:
    sent = {"host": "127.0.0.1:8080"} | {name.replace("_", "-"): value for name, value in headers.items()}
    return Request({"type": "http", "client": (client, 1), "headers": [(name.encode(), value.encode()) for name, value in sent.items()]})


@pytest.mark.parametrize("host", ["localhost", "localhost:8080", "127.0.0.1", "127.9.9.9:1", "[::1]:8080"])
def test_a_browser_on_this_machine_is_local(host: str) -> None:
    assert is_local(_a_request(host=host))


@pytest.mark.parametrize("host", ["", "example.com", "127.0.0.1.example.com", "localhost.example.com", "10.0.0.1", "[", "0.0.0.0"])
def test_a_name_that_is_not_this_machines_is_not_local(host: str) -> None:
    assert not is_local(_a_request(host=host))


@pytest.mark.parametrize("client", ["10.0.0.7", "203.0.113.1", "::ffff:10.0.0.1", "testclient"])
def test_another_machine_is_not_local(client: str) -> None:
    assert not is_local(_a_request(client))


def test_a_proxied_request_is_not_local() -> None:
    assert not is_local(_a_request(x_forwarded_for="127.0.0.1"))


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:9999", "http://localhost:8080"])
def test_a_page_of_another_origin_is_told_apart(origin: str) -> None:
    assert is_same_origin(_a_request(origin="http://127.0.0.1:8080"))
    assert not is_same_origin(_a_request(origin=origin))


def test_a_log_line_holds_no_denied_value_at_any_depth() -> None:
    event = telemetry.redact(None, "", {"event": "x", "text": "canary", "inner": {"phone": "canary", "id": 7}, "Token": "canary"})

    assert "canary" not in json.dumps(event)
    assert event["inner"]["id"] == 7


def test_a_logged_error_keeps_its_class_and_place_and_drops_its_message() -> None:
    try:
        raise ValueError("canary words of a person")  # noqa: TRY301 - the test needs a traceback
    except ValueError as error:
        event = telemetry.shorten_error(None, "", {"event": "x", "exc_info": error})

    assert event["error"] == "ValueError"
    assert event["where"][0].startswith("test_web_parts.py:")
    assert "canary" not in json.dumps(event)


def _a_notice(contact: UUID, kind: str, **more: str) -> str:
    return json.dumps({"conversation": str(uuid4()), "contact": str(contact), "kind": kind} | more)


def test_a_notice_reaches_the_pages_of_its_contact_alone() -> None:
    live, ada, bob = Live(), uuid4(), uuid4()
    with live.watching("ada") as hers, live.watching("bob") as his:
        hers.contact, his.contact = ada, bob
        hers.is_behind = his.is_behind = False
        live.notice(_a_notice(ada, "partial", turn="t", text="so far"))

        assert hers.partial == ("t", "so far")
        assert (his.partial, his.woken.is_set()) == (None, False)


def test_every_page_reads_again_after_a_lost_connection() -> None:
    live = Live()
    with live.watching("ada") as page:
        page.is_behind = False
        live.notice(chat.LOST)

        assert page.is_behind


@pytest.mark.parametrize("payload", ["", "{", "[]", "null", "{}", '{"contact": 7, "kind": "changed"}'])
def test_a_notice_that_cannot_be_read_changes_nothing(payload: str) -> None:
    live = Live()
    with live.watching("ada") as page:
        page.is_behind = False
        live.notice(payload)

        assert not page.is_behind


def test_a_gate_lets_no_more_in_than_its_limit_and_frees_the_place() -> None:
    gate = Gate(1)
    with gate.entered(), pytest.raises(Full), gate.entered():
        pass

    with gate.entered():
        assert gate.inside == 1


def test_a_bucket_runs_empty_by_wrong_tries() -> None:
    bucket = Bucket(tries=2, per_s=60)
    bucket.take()
    assert not bucket.is_empty
    bucket.take()

    assert bucket.is_empty
