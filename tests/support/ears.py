"""A server that hears: what it answers is given in advance, by a word in the file."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Ears:
    """What it was asked, and what it answers."""

    def __init__(self) -> None:
        self.url = ""
        self.answers: dict[bytes, tuple[int, Any]] = {}
        self.asked: list[dict[str, str]] = []

    def answer(self, body: bytes, content_type: str) -> tuple[int, Any]:
        boundary = content_type.partition("boundary=")[2].encode()
        fields: dict[str, str] = {}
        data = b""
        for part in body.split(b"--" + boundary):
            head, _, value = part.partition(b"\r\n\r\n")
            name = re.search(rb'name="(\w+)"', head)
            if name and name[1] == b"file":
                data = value
            elif name:
                fields[name[1].decode()] = value.strip().decode()
        self.asked.append(fields)
        return next((answer for mark, answer in self.answers.items() if mark in data), (400, {"error": {"code": "unreadable"}}))


@contextmanager
def listening() -> Iterator[Ears]:
    ears = Ears()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            status, found = ears.answer(self.rfile.read(int(self.headers["content-length"])), self.headers["content-type"])
            told = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    ears.url = f"http://127.0.0.1:{server.server_port}/v1"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield ears
    server.shutdown()
    server.server_close()
