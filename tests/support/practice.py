"""The practice platform as a process, and a business's webhook endpoint that keeps what it is sent."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from tests.support.processes import Process, Processes

SECRET, TOKEN, PHONE_ID = "practice-app-secret", "practice-token", "700800900100200"
APP_ID, PAGE_ID, INSTAGRAM_ID = "300400500600700", "200300400500600", "17841400500600700"
PAGES: dict[str, dict[str, Any]] = {
    "messenger": {"account_id": PAGE_ID, "access_token": "page-token"},
    "instagram": {"account_id": INSTAGRAM_ID, "page_id": "200300400500700", "access_token": "instagram-token"},
}
PATH = f"/v25.0/{PHONE_ID}/messages"
ANA = "+34600111222"


@dataclass
class Business:
    """A webhook endpoint that keeps what it was sent, and answers as told."""

    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    signatures: list[str | None] = field(default_factory=list)
    genuine: list[bool] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    handshake_token: str = "verify-me"

    def statuses(self, correlation: str) -> list[str]:
        values = [body["entry"][0]["changes"][0]["value"] for body in list(self.bodies)]
        return [
            status["status"]
            for value in values
            for status in value.get("statuses", [])
            if status.get("biz_opaque_callback_data") == correlation
        ]

    def items(self, name: str = "messaging") -> list[dict[str, Any]]:
        """All items of threads so far."""
        return [item for body in list(self.bodies) for entry in body["entry"] for item in entry.get(name, [])]


def _handler(business: Business) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            wanted = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
            signature = self.headers["x-hub-signature-256"]
            business.raw.append(body)
            business.signatures.append(signature)
            business.genuine.append(hmac.compare_digest(wanted, signature or ""))
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
    process: Process
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
    arguments = ["chinwag", "fake-platform", "--port", "0", "--state", str(state)]
    process = Processes(state.parent).start("platform", arguments, {"PYTHONWARNINGS": "default"})
    return Platform(process, httpx.Client(base_url=process.wait_listening(), trust_env=False, verify=False, timeout=5), state)


def stop(platform: Platform) -> float:
    platform.http.close()
    began = time.monotonic()
    platform.process.stop(5)
    return time.monotonic() - began


@contextmanager
def a_business() -> Iterator[Business]:
    """A webhook endpoint on loopback."""
    business = Business()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(business))
    business.url = f"http://127.0.0.1:{server.server_port}/webhooks/whatsapp/demo"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield business
    server.shutdown()
    thread.join()
    server.server_close()


@contextmanager
def a_registered(platform: Platform, business: Business) -> Iterator[Platform]:
    """The platform with this business's number, no faults scripted; afterwards nothing of it is on its way any more."""
    platform.http.post("/_practice/script", json={"clear": True})
    register(platform, business)
    yield platform
    until(lambda: platform.http.get("/_practice/webhooks").json()["pending"] == 0)


def register(platform: Platform, business: Business, **change: object) -> dict[str, Any]:
    number = {"phone_number_id": PHONE_ID, "webhook_url": business.url, "app_secret": SECRET, "access_token": TOKEN}
    number |= {"statuses": [["sent", 5], ["delivered", 15], ["read", 30]], "retry_delays_s": [0.05, 0.1], **change}
    response = platform.http.post("/_practice/numbers", json=number)
    assert response.status_code == 200, response.text
    return response.json()


def register_page(platform: Platform, business: Business, channel: str, **change: object) -> dict[str, Any]:
    """Register a page, or an Instagram account with the login type page or login (`door` in the platform's own JSON)."""
    account: dict[str, Any] = {"channel": channel, "app_id": APP_ID, "app_secret": SECRET, "webhook_url": business.url}
    account |= PAGES[channel] | {"statuses": [["echo", 5], ["delivered", 30], ["read", 60]], "retry_delays_s": [0.05, 0.1], **change}
    response = platform.http.post("/_practice/accounts", json=account)
    assert response.status_code == 200, response.text
    return response.json()


def until(claim: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)
