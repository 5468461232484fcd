"""What runs apart from what is measured: the model server, the practice platform, and a place for answers of peers that do not know the Graph API."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from tests.support import build

ROOT = Path(__file__).resolve().parent.parent.parent
MODEL = "scripted"
MODEL_S = 1.0
_ANSWER = "The Douro runs through the old town; begin at the Ribeira and cross the lower deck of the bridge."
#: Statuses come as Meta aggregates them.
_BATCH_MS = 500.0
#: Nobody of an earlier run writes again.
_BEGAN, _people = int(time.time()) % 1_000_000, itertools.count(1)


@dataclass(kw_only=True)
class Outside:
    """The servers, and what people were answered."""

    model_url: str
    platform_url: str
    #: Where a peer may post answers that are no calls of the Graph API.
    answers_url: str
    http: httpx.Client
    pids: set[int]
    #: Of answers that came there: whom they were for, and when.
    answered: list[tuple[str, float]] = field(default_factory=list[tuple[str, float]])
    _read: int = 0

    def others(self) -> set[int]:
        """The processes here, which are nobody's whom we measure."""
        return self.pids

    def know(self, *, url: str, app_secret: str, access_token: str) -> None:
        """Let the platform know the business's number, and send it statuses."""
        number = {
            "phone_number_id": build.PHONE_NUMBER_ID,
            "webhook_url": url,
            "app_secret": app_secret,
            "access_token": access_token,
            "batch_ms": _BATCH_MS,
        }
        self.http.post(f"{self.platform_url}/_practice/numbers", json=number).raise_for_status()

    def model_calls(self) -> int:
        """How many chats the model was asked for so far."""
        return int(self.http.get(f"{self.model_url.removesuffix('/v1')}/_log").json()["count"])

    def replies(self) -> list[tuple[str, float]]:
        """Whom an answer was accepted for since the last look, and when."""
        page = self.http.get(f"{self.platform_url}/_practice/log", params={"after": self._read}).json()
        self._read = page["last"]
        found = [
            (number_in(one["to"] or one["recipient"]), datetime.fromisoformat(one["at"]).timestamp())
            for one in page["entries"]
            if one["kind"] == "message" and one["outcome"] == "accepted"
        ]
        here, self.answered[:] = list(self.answered), []
        return found + here


def a_person() -> build.Person:
    """Somebody who has not written before, with both ids that WhatsApp tells a business; pywa 4.5 needs the one that is not the number."""
    number = f"1555{_BEGAN:06d}{next(_people):05d}"
    return build.Person(number=number, name="Ada", bsuid=f"US.{number}")


def number_in(address: str) -> str:
    """Give the number of a person in either id."""
    return "".join(one for one in address if one.isdigit())


@contextmanager
def outside(folder: Path) -> Generator[Outside]:
    """Start the servers; they end with the context."""
    started: list[subprocess.Popen[bytes]] = []
    env = {key: value for key, value in os.environ.items() if not key.startswith("CHINWAG_")} | {"PYTHONPATH": str(ROOT)}

    def launch(name: str, *command: str) -> str:
        log = folder / f"{name}.log"
        with log.open("wb") as output:
            started.append(subprocess.Popen([sys.executable, "-m", *command], cwd=ROOT, env=env, stdout=output, stderr=subprocess.STDOUT))
        end = time.monotonic() + 60
        while "Listening on " not in log.read_text():
            if started[-1].poll() is not None or time.monotonic() > end:
                raise SystemExit(f"the {name} did not start: {log.read_text()[-1000:]}")
            time.sleep(0.05)
        return log.read_text().split("Listening on ")[1].split()[0]

    answers = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    try:
        model = launch("model", "inference.scripted", "--port", "0")
        platform = launch("platform", "chinwag", "fake-platform", "--port", "0")
        with httpx.Client(trust_env=False, timeout=30) as http:
            http.post(f"{model}/_script", json={"latency_s": MODEL_S, "answer": _ANSWER}).raise_for_status()
            found = Outside(
                model_url=f"{model}/v1",
                platform_url=platform,
                answers_url=f"http://127.0.0.1:{answers.server_port}/",
                http=http,
                pids={process.pid for process in started},
            )
            answers.RequestHandlerClass = _handler(found)
            threading.Thread(target=answers.serve_forever, daemon=True).start()
            yield found
            answers.shutdown()
    finally:
        answers.server_close()
        for process in started:
            process.terminate()
            process.wait(15)


def _handler(kept: Outside) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if body.get("is_final", True):
                kept.answered.append((str(body["session_id"]), time.time()))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    return Handler
