"""A model server whose every answer a test writes down, over real HTTP: for what no server that we play says otherwise."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_USAGE = {"prompt_tokens": 40, "completion_tokens": 2, "total_tokens": 42}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One answer: JSON, or bytes as they are."""

    status: int = 200
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "application/json"})

    def raw(self) -> bytes:
        """Its bytes."""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


#: What a test makes of a call: its own answer, or None for a usual one.
Chat = Callable[[dict[str, Any]], Told | None]


@contextmanager
def odd_server(*, models: Any = None, chat: Chat = lambda _: None, asked: list[dict[str, Any]] | None = None) -> Iterator[str]:
    """Serve, and give the address up to /v1. `models` is the body of /models; None: no such page. `asked` gets the body of each call."""
    seen = [] if asked is None else asked

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
            """Say nothing."""

        def do_GET(self) -> None:
            """Answer for a page."""
            is_list = self.path == "/v1/models" and models is not None
            self._send(Told(body=models) if is_list else Told(status=404, body={"detail": "Not Found"}))

        def do_POST(self) -> None:
            """Answer a call."""
            body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))))
            seen.append(body)
            self._send(chat(body) or usual(body))

        def _send(self, told: Told) -> None:
            raw = told.raw()
            self.send_response(told.status)
            for name, value in told.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def usual(body: Mapping[str, Any], text: str = "OK", *, usage: Mapping[str, Any] | None = _USAGE) -> Told:
    """Answer as most servers do: streamed where that is asked for."""
    counted = {} if usage is None else {"usage": usage}
    if not body.get("stream"):
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        return Told(body={"object": "chat.completion", "choices": [choice], **counted})
    chunks = [
        {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {"choices": [], **counted},
    ]
    events = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
    return Told(body=events.encode(), headers={"content-type": "text/event-stream"})


def complaint(message: str, *, status: int = 400, **fields: Any) -> Told:
    """Refuse in OpenAI's form."""
    return Told(status=status, body={"error": {"message": message, "type": "invalid_request_error", **fields}})
