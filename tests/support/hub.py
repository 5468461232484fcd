"""Plays the model hub for one file: its headers, its listing, and its bytes from any place on."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

#: A small file that begins as a model does.
BYTES = b"GGUF" + bytes(range(256)) * 8000
#: What it is called on the hub.
NAME = "hf:owner/repo/small.gguf"


class Hub(ThreadingHTTPServer):
    """Plays the hub for one file."""

    daemon_threads = True

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = content
        self.digest = hashlib.sha256(content).hexdigest()
        self.in_headers = True
        #: The size that it tells, if that is not the real one.
        self.say_size = 0
        #: The next download ends after so many bytes.
        self.break_after: int | None = None
        #: Every download ends after so many bytes.
        self.fails_after: int | None = None
        #: Downloads go on from half the file once this is set.
        self.go_on = threading.Event()
        self.go_on.set()
        self.gets: list[str | None] = []

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def running_hub(content: bytes = BYTES) -> Generator[Hub]:
    """Serve a file while the block runs."""
    server = Hub(content)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.go_on.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Hub  # pyright: ignore[reportIncompatibleVariableOverride] - it only ever serves this one

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        pass

    def do_HEAD(self) -> None:
        if not self.path.startswith("/owner/repo/resolve/main/"):
            self.send_error(404)
            return
        self.send_response(302)
        self.send_header("X-Repo-Commit", "c0ffee")
        if self.server.in_headers:
            self.send_header("X-Linked-Etag", f'"{self.server.digest}"')
            self.send_header("X-Linked-Size", str(self.server.say_size or len(self.server.content)))
        self.send_header("Location", "/cdn")
        self.end_headers()

    def do_GET(self) -> None:
        if self.path == "/api/models/owner/repo/tree/c0ffee":
            entry = {"path": "small.gguf", "lfs": {"oid": self.server.digest, "size": len(self.server.content)}}
            self._send(200, json.dumps([entry]).encode())
        elif self.path == "/owner/repo/resolve/c0ffee/small.gguf":
            self.send_response(302)
            self.send_header("Location", "/cdn")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif self.path == "/cdn":
            self._serve()
        else:
            self.send_error(404)

    def _serve(self) -> None:
        wanted = self.headers.get("Range")
        self.server.gets.append(wanted)
        first = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        body = self.server.content[first:]
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header("Content-Range", f"bytes {first}-{len(self.server.content) - 1}/{len(self.server.content)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut, self.server.break_after = self.server.break_after or self.server.fails_after, None
        half = max(0, len(self.server.content) // 2 - first)
        self.wfile.write(body[:cut][:half])
        self.server.go_on.wait(60)
        self.wfile.write(body[:cut][half:])
        self.close_connection = True

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
