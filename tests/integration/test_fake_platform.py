"""The practice platform as a real process on loopback: what it refuses, what it sends back, how it fails on demand."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

SECRET, TOKEN, PHONE_ID = "practice-app-secret", "practice-token", "700800900100200"
PATH = f"/v25.0/{PHONE_ID}/messages"
ANA = "+34600111222"


@dataclass
class Business:
    """A webhook endpoint that keeps what it was sent, and answers as told."""

    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    genuine: list[bool] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    handshake_token: str = "verify-me"

    def statuses(self, correlation: str) -> list[str]:
        values = [body["entry"][0]["changes"][0]["value"] for body in list(self.bodies)]
        return [
            status["status"] for value in values for status in value.get("statuses", []) if status.get("biz_opaque_callback_data") == correlation
        ]


def _handler(business: Business) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            wanted = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
            business.genuine.append(hmac.compare_digest(wanted, self.headers["x-hub-signature-256"]))
            business.bodies.append(json.loads(body))
            self._reply(business.answers.pop(0) if business.answers else 200, b"")

        def do_GET(self) -> None:
            query = httpx.URL(self.path).params
            good = query["hub.verify_token"] == business.handshake_token and query["hub.mode"] == "subscribe"
            self._reply(200 if good else 403, query["hub.challenge"].encode())

        def _reply(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    return Handler


@dataclass
class Platform:
    process: subprocess.Popen[str]
    http: httpx.Client
    state: Path

    def log(self, after: int = 0) -> list[dict[str, Any]]:
        return self.http.get("/_practice/log", params={"after": after}).json()["entries"]

    def script(self, *faults: object, **match: str) -> None:
        assert self.http.post("/_practice/script", json={"match": match, "faults": list(faults)}).status_code == 200

    def send(self, timeout: float = 5.0, **change: object) -> httpx.Response:
        return self.http.post(PATH, json=a_text(**change), headers={"authorization": f"Bearer {TOKEN}"}, timeout=timeout)


def a_text(**change: object) -> dict[str, object]:
    body: dict[str, object] = {"messaging_product": "whatsapp", "recipient_type": "individual", "to": ANA, "type": "text"}
    body |= {"text": {"body": "Hola"}, **change}
    return {name: value for name, value in body.items() if value is not None}


def start(state: Path) -> Platform:
    command = [sys.executable, "-m", "chinwag", "fake-platform", "--port", "0", "--state", str(state)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONWARNINGS": "default"})
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("Listening on http://127.0.0.1:")
    return Platform(process, httpx.Client(base_url=line.split()[-1], trust_env=False, timeout=5), state)


def stop(platform: Platform) -> float:
    platform.http.close()
    began = time.monotonic()
    platform.process.send_signal(signal.SIGTERM)
    platform.process.wait(5)
    assert platform.process.stdout is not None
    platform.process.stdout.close()
    return time.monotonic() - began


@pytest.fixture
def business() -> Iterator[Business]:
    business = Business()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(business))
    business.url = f"http://127.0.0.1:{server.server_port}/webhooks/whatsapp/demo"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield business
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    platform = start(tmp_path_factory.mktemp("platform"))
    yield platform
    stop(platform)


@pytest.fixture
def platform(process: Platform, business: Business) -> Platform:
    process.http.post("/_practice/script", json={"clear": True})
    register(process, business)
    return process


def register(platform: Platform, business: Business, **change: object) -> dict[str, Any]:
    number = {"phone_number_id": PHONE_ID, "webhook_url": business.url, "app_secret": SECRET, "access_token": TOKEN}
    number |= {"statuses": [["sent", 5], ["delivered", 15], ["read", 30]], "retry_delays_s": [0.05, 0.1], **change}
    response = platform.http.post("/_practice/numbers", json=number)
    assert response.status_code == 200, response.text
    return response.json()


def until(claim: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)


REFUSED: list[tuple[str, dict[str, object], int]] = [
    ("no product", {"messaging_product": None}, 100),
    ("another product", {"messaging_product": "messenger"}, 100),
    ("nobody to write to", {"to": None}, 100),
    ("a number as a number", {"to": 34600111222}, 100),
    ("a business-scoped id in to", {"to": "ES.81230091"}, 131009),
    ("a phone in recipient", {"to": None, "recipient": "34600111222"}, 131009),
    ("letters for a phone", {"to": "ana"}, 131009),
    ("an unknown type", {"type": "poll", "poll": {}}, 100),
    ("a type without its object", {"text": None}, 131008),
    ("another type's object", {"type": "image", "image": {"id": "1"}}, 100),
    ("no words", {"text": {"body": ""}}, 100),
    ("words of another type", {"text": {"body": 7}}, 100),
    ("too many words", {"text": {"body": "x" * 4097}}, 100),
    ("an unknown key in text", {"text": {"body": "x", "format": "md"}}, 100),
    ("an unknown key", {"idempotency_key": "x"}, 100),
    ("too long a tag", {"biz_opaque_callback_data": "x" * 513}, 100),
    ("a tag that is no string", {"biz_opaque_callback_data": 7}, 100),
    ("an unknown recipient type", {"recipient_type": "crowd"}, 100),
    ("a context without id", {"context": {}}, 100),
    ("an image with both id and link", {"type": "image", "text": None, "image": {"id": "1", "link": "https://a/b"}}, 100),
    ("a caption on audio", {"type": "audio", "text": None, "audio": {"id": "1", "caption": "x"}}, 100),
]


@pytest.mark.parametrize(("change", "code"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_a_request_that_the_documentation_does_not_allow_is_refused_with_its_code(
    platform: Platform, change: dict[str, object], code: int
) -> None:
    response = platform.send(**change)

    assert response.status_code == 400
    error = response.json()["error"]
    assert error["code"] == code
    assert error["fbtrace_id"]
    assert platform.log()[-1]["outcome"] == "refused"


TAKEN: list[tuple[str, dict[str, object]]] = [
    ("the longest text", {"text": {"body": "ñ" * 4096, "preview_url": False}}),
    ("a wa_id as received", {"to": "34600111222"}),
    ("a business-scoped id", {"to": None, "recipient": "ES.81230091"}),
    ("a linked portfolio's id", {"to": None, "recipient": "ES.ENT.77"}),
    ("both, and a tag", {"recipient": "ES.81230091", "biz_opaque_callback_data": "x" * 512}),
    ("a quote", {"context": {"message_id": "wamid.AA1"}}),
    ("an image", {"type": "image", "text": None, "image": {"link": "https://a/b", "caption": "x"}}),
    ("a template", {"type": "template", "text": None, "template": {"name": "n", "language": {"code": "es"}}}),
]


@pytest.mark.parametrize("change", [row[1] for row in TAKEN], ids=[row[0] for row in TAKEN])
def test_a_request_as_documented_is_accepted_and_logged(platform: Platform, change: dict[str, object]) -> None:
    response = platform.send(**change)

    assert response.status_code == 200, response.text
    content = response.json()
    entry = platform.log()[-1]
    assert entry["outcome"] == "accepted"
    assert content["messages"] == [{"id": entry["external_id"]}]
    assert content["contacts"][0]["input"] == (change.get("to") or change.get("recipient") or ANA if change.get("to") else entry["to"] or entry["recipient"])


def test_tokens_ids_and_versions_are_checked(platform: Platform) -> None:
    def code(path: str, token: str) -> tuple[int, int]:
        response = platform.http.post(path, json=a_text(), headers={"authorization": token})
        return response.status_code, response.json()["error"]["code"]

    assert code(PATH, "Bearer wrong") == (401, 190)
    assert code(PATH, "") == (401, 190)
    assert code("/v25.0/1/messages", f"Bearer {TOKEN}") == (400, 100)
    assert code(PATH.replace("v25", "v99"), f"Bearer {TOKEN}") == (400, 2500)
    assert platform.http.post("/v25.0/1/messages", json={}, headers={"authorization": f"Bearer {TOKEN}"}).json()["error"]["error_subcode"] == 33
    form = platform.http.post(PATH, data={"to": ANA}, headers={"authorization": f"Bearer {TOKEN}"})
    assert form.json()["error"]["code"] == 100
    broken = platform.http.post(PATH, content=b"{", headers={"authorization": f"Bearer {TOKEN}", "content-type": "application/json"})
    assert broken.json()["error"]["code"] == 100


def test_a_number_and_a_token_can_be_looked_at(platform: Platform) -> None:
    bearer = {"authorization": f"Bearer {TOKEN}"}
    number = platform.http.get(f"/v25.0/{PHONE_ID}", params={"fields": "status,display_phone_number"}, headers=bearer)
    token = platform.http.get("/v25.0/debug_token", params={"input_token": TOKEN}, headers=bearer)
    dead = platform.http.get("/debug_token", params={"input_token": "x"}, headers={"authorization": f"Bearer 1|{SECRET}"})

    assert number.json() == {"status": "CONNECTED", "display_phone_number": "15550102030", "id": PHONE_ID}
    assert token.json()["data"]["is_valid"] is True
    assert dead.json()["data"]["is_valid"] is False
    assert platform.http.get("/v25.0/me").json()["error"]["code"] == 2500
    assert platform.http.get(f"/v25.0/{PHONE_ID}", params={"fields": "shoe_size"}, headers=bearer).json()["error"]["code"] == 100
    assert platform.http.get("/v25.0/77", headers=bearer).json()["error"]["error_subcode"] == 33


def test_a_read_mark_and_typing_are_taken_and_logged_as_such(platform: Platform) -> None:
    read = {"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.AA1"}
    headers = {"authorization": f"Bearer {TOKEN}"}

    assert platform.http.post(PATH, json=read, headers=headers).json() == {"success": True}
    assert platform.http.post(PATH, json=read | {"typing_indicator": {"type": "text"}}, headers=headers).status_code == 200
    assert platform.http.post(PATH, json=read | {"typing_indicator": {"type": "dance"}}, headers=headers).status_code == 400
    assert [entry["kind"] for entry in platform.log()[-3:]] == ["read", "typing", "read"]


def test_statuses_come_signed_in_order_and_with_the_tag(platform: Platform, business: Business) -> None:
    platform.send(biz_opaque_callback_data="tag-1")

    until(lambda: business.statuses("tag-1") == ["sent", "delivered", "read"])
    assert all(business.genuine)
    until(lambda: platform.http.get("/_practice/webhooks").json()["pending"] == 0)


def test_a_webhook_is_repeated_until_its_200(platform: Platform, business: Business) -> None:
    business.answers += [503, 500, 302]

    answer = platform.http.post("/_practice/inbound", json={"phone_number_id": PHONE_ID, "from": ANA, "bsuid": "ES.1", "text": "hi"}).json()

    assert (answer["http_status"], answer["attempts"]) == (200, 4)
    assert business.genuine == [True] * 4
    value = business.bodies[-1]["entry"][0]["changes"][0]["value"]
    message = value["messages"][0]
    assert (message["id"], message["from"], message["from_user_id"]) == (answer["wamid"], "34600111222", "ES.1")
    assert message["text"] == {"body": "hi"}
    assert value["metadata"]["phone_number_id"] == PHONE_ID


def test_a_raw_body_is_signed_and_sent_as_it_is(platform: Platform, business: Business) -> None:
    answer = platform.http.post("/_practice/inbound", json={"phone_number_id": PHONE_ID, "raw": {"object": "odd", "entry": []}})

    assert answer.json()["http_status"] == 200
    assert business.bodies == [{"object": "odd", "entry": []}]
    assert business.genuine == [True]


def test_the_handshake_tells_whether_the_webhook_knows_the_token(platform: Platform, business: Business) -> None:
    assert register(platform, business, verify_token="verify-me", handshake=True)["handshake"] is True
    assert register(platform, business, verify_token="other", handshake=True)["handshake"] is False


def test_statuses_may_travel_together(platform: Platform, business: Business) -> None:
    register(platform, business, batch_ms=100, statuses=[["sent", 0], ["delivered", 0]])
    for _ in range(3):
        platform.send(biz_opaque_callback_data="together")

    until(lambda: len(business.statuses("together")) == 6)
    assert len(business.bodies) <= 3


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [("429", 429, 4), ("130429", 400, 130429), ("131056", 400, 131056), ("190", 401, 190), ("131047", 400, 131047), ("131000", 500, 131000)],
)
def test_a_scripted_refusal_happens_once_and_is_not_accepted(platform: Platform, fault: str, status: int, code: int) -> None:
    platform.script({"fault": fault, "retry_after_s": 2}, correlation=f"c-{fault}")
    other = platform.send(biz_opaque_callback_data="someone else")
    refused = platform.send(biz_opaque_callback_data=f"c-{fault}")
    again = platform.send(biz_opaque_callback_data=f"c-{fault}")

    assert (other.status_code, again.status_code) == (200, 200)
    assert (refused.status_code, refused.json()["error"]["code"], refused.headers["retry-after"]) == (status, code, "2")
    assert [entry["outcome"] for entry in platform.log()[-3:]] == ["accepted", "refused", "accepted"]


def test_a_500_has_no_graph_body_and_garbage_is_no_json(platform: Platform) -> None:
    platform.script("500", "garbage_200", "truncated_200")

    assert "Sorry" in platform.send().text
    assert platform.send().text.startswith("<!doctype")
    with pytest.raises(httpx.RemoteProtocolError):
        platform.send()
    assert [entry["outcome"] for entry in platform.log()[-3:]] == ["refused", "accepted", "accepted"]


@pytest.mark.parametrize(("fault", "outcome"), [("accept_then_hang", "accepted"), ("hang", "refused")])
def test_silence_lasts_until_the_client_gives_up(platform: Platform, business: Business, fault: str, outcome: str) -> None:
    platform.script({"fault": fault, "status_delay_s": 0.1})

    with pytest.raises(httpx.ReadTimeout):
        platform.send(timeout=0.3, biz_opaque_callback_data=fault)
    assert platform.log()[-1]["outcome"] == outcome
    if outcome == "accepted":
        until(lambda: business.statuses(fault) == ["sent", "delivered", "read"])


@pytest.mark.parametrize(("fault", "outcome"), [("accept_then_close", "accepted"), ("close", "refused")])
def test_a_connection_may_close_without_an_answer(platform: Platform, fault: str, outcome: str) -> None:
    platform.script(fault)

    with pytest.raises(httpx.RemoteProtocolError):
        platform.send()
    assert platform.log()[-1]["outcome"] == outcome
    assert platform.send().status_code == 200


@pytest.mark.parametrize("accept", [True, False])
def test_a_held_request_waits_for_its_release(platform: Platform, accept: bool) -> None:
    platform.script("read_body_then_hold")
    answers: list[object] = []

    def ask() -> None:
        try:
            answers.append(platform.send().status_code)
        except httpx.RemoteProtocolError:
            answers.append("closed")

    thread = threading.Thread(target=ask)
    thread.start()
    until(lambda: platform.log()[-1]["outcome"] == "held")
    assert platform.http.post("/_practice/release", json={"accept": accept}).json() == {"released": 1}
    thread.join()

    assert answers == [200 if accept else "closed"]
    assert platform.log()[-1]["outcome"] == ("accepted" if accept else "held")


def test_statuses_can_be_missing_early_double_or_failed(platform: Platform, business: Business) -> None:
    platform.script("no_status", correlation="never")
    platform.script("status_before_response", correlation="early")
    platform.script("duplicate_status", correlation="double")
    platform.script({"fault": "failed_status", "code": 131047}, correlation="failed")
    platform.send(biz_opaque_callback_data="never")
    platform.send(biz_opaque_callback_data="early")
    early = business.statuses("early")
    platform.send(biz_opaque_callback_data="double")
    platform.send(biz_opaque_callback_data="failed")

    assert sorted(early) == ["delivered", "read", "sent"]
    until(lambda: len(business.statuses("double")) == 6)
    until(lambda: business.statuses("failed") == ["failed"])
    assert business.statuses("never") == []


def test_latency_delays_the_answer(platform: Platform) -> None:
    platform.script({"fault": "latency", "latency_ms": 200})
    began = time.monotonic()
    platform.send()

    assert time.monotonic() - began >= 0.2


def test_a_wrong_control_request_says_what_is_wrong(platform: Platform) -> None:
    for path, body in [
        ("numbers", {"phone_number_id": "1"}),
        ("script", {"match": {"colour": "red"}, "faults": ["500"]}),
        ("script", {"faults": ["explode"]}),
        ("inbound", {"phone_number_id": "nobody", "from": ANA, "text": "x"}),
    ]:
        response = platform.http.post(f"/_practice/{path}", json=body)
        assert response.status_code == 400
        assert response.json()["error"]
    assert platform.http.post("/_practice/script", content=b'{"clear":true}', headers={"content-type": "text/plain"}).status_code == 400


def test_it_stops_within_a_second_and_remembers_its_numbers_and_log(tmp_path: Path, business: Business) -> None:
    first = start(tmp_path / "state")
    register(first, business)
    first.script("hang")
    with pytest.raises(httpx.ReadTimeout):
        first.send(timeout=0.1)
    first.send(biz_opaque_callback_data="before")
    assert stop(first) < 1.0

    second = start(tmp_path / "state")
    assert second.send(biz_opaque_callback_data="after").status_code == 200
    entries = second.log()
    stop(second)
    assert [(entry["n"], entry["correlation"]) for entry in entries][1:] == [(2, "before"), (3, "after")]
    assert (tmp_path / "state" / "numbers.json").stat().st_mode & 0o077 == 0
    lines = (tmp_path / "state" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["n"] for line in lines] == [1, 2, 3]
