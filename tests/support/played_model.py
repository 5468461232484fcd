"""A model server of the test's own process that answers by what a prompt says: refuses words, breaks off, asks for a pause, ends in any way."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

Prompt = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """One response: an error with its status, or a stream of these words."""

    status: int = 200
    body: Mapping[str, Any] = field(default_factory=dict[str, Any])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    words: Sequence[str] = ()
    #: The field of a delta in which they stand.
    under: str = "content"
    #: None: the stream ends without a word about it.
    finish: str | None = "stop"
    usage: Mapping[str, Any] | None = None
    #: Whether the connection is cut off behind the words.
    is_cut: bool = False


def text_of(prompt: Prompt) -> str:
    """All that a prompt says."""
    return "\n".join(str(message["content"]) for message in prompt)


class PlayedModel:
    """The server. `plays` returns the response to a prompt; None: it repeats what was said last."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self._server = server
        self.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        self.plays: Callable[[Prompt], Played | None] = lambda _prompt: None
        #: The prompts so far, each with its time by the monotonic clock.
        self.asked: list[tuple[float, Prompt]] = []

    def response_to(self, prompt: Prompt) -> Played:
        """Note a prompt, and return what answers it."""
        self.asked.append((time.monotonic(), prompt))
        return self.plays(prompt) or Played(words=["You said: ", str(prompt[-1]["content"])])

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def played_model() -> Generator[PlayedModel]:
    """Start one, and end it afterwards."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    model = PlayedModel(server)
    cast("Any", server).model = model
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield model
    model.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        if not self.path.endswith("/chat/completions"):
            self._whole(404, {}, b"{}")
            return
        played = cast("Any", self.server).model.response_to(json.loads(body)["messages"])
        if played.status != 200:
            self._whole(played.status, played.headers, json.dumps(played.body).encode())
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        if played.is_cut:
            self.send_header("content-length", "1000000")
        self.end_headers()
        for word in played.words:
            self._event({"choices": [{"index": 0, "delta": {played.under: word}}]})
        self.close_connection = True
        if played.is_cut:
            return
        if played.finish is not None:
            self._event({"choices": [{"index": 0, "delta": {}, "finish_reason": played.finish}]})
        self._event({"choices": [], "usage": played.usage or {"prompt_tokens": 40, "completion_tokens": 6}})
        self.wfile.write(b"data: [DONE]\n\n")

    def _whole(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {"content-type": "application/json", **headers, "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _event(self, event: Mapping[str, Any]) -> None:
        self.wfile.write(b"data: " + json.dumps(event).encode() + b"\n\n")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as in the standard library
        """Print nothing."""
