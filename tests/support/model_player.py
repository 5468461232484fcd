"""Plays the corpus of model servers over real HTTP: each case is a server of its own below its name, as odd as the case says.

A case has the frames of a stream (a word with @ stands for the ordinary events) or a whole body, how the connection ends, and what the client makes of it.
"""

from __future__ import annotations

import gzip
import json
import socket
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

_FOLDER = Path(__file__).parent.parent / "corpus" / "model_servers"
_SAID = ("The", " ferry", " leaves", " at", " seven.")
_COUNTS = {"prompt_tokens": 40, "completion_tokens": 6, "total_tokens": 46}
_STREAM = {"content-type": "text/event-stream"}


def cases(kind: str) -> list[dict[str, Any]]:
    """The cases of a file."""
    return [json.loads(line) for line in (_FOLDER / f"{kind}.jsonl").read_text("utf-8").splitlines()]


def event(delta: dict[str, Any], finish: str | None = None) -> str:
    """One event of an ordinary stream."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return f"data: {json.dumps({'id': 'z1', 'object': 'chat.completion.chunk', 'choices': [choice]})}\n\n"


def _meant(frame: str) -> list[str]:
    words = [event({"content": word}) for word in _SAID]
    end = [event({}, "stop"), f"data: {json.dumps({'id': 'z1', 'choices': [], 'usage': _COUNTS})}\n\n", "data: [DONE]\n\n"]
    known = {"@words": words, "@stop": end[:1], "@usage": end[1:2], "@done": end[2:]}
    whole = "".join((*words, *end))
    known |= {"@nogap": [whole.replace("\n\n", "\n")], "@crlf": [whole.replace("\n", "\r\n")], "@cr": [whole.replace("\n", "\r")]}
    known |= {"@nospace": [whole.replace("data: ", "data:")], "@ndjson": [whole.replace("data: ", "").replace("\n\n", "\n")]}
    return known.get(frame, [frame])


def stream_of(frames: list[str], *, latin: bool = False) -> list[bytes]:
    """The bytes of a case's frames."""
    return [one.encode("latin-1" if latin else "utf-8") for frame in frames for one in _meant(frame)]


def _packed(pieces: list[bytes], how: str | None) -> tuple[list[bytes], dict[str, str]]:
    if how == "gzips":
        return [gzip.compress(piece) for piece in pieces], {"content-encoding": "gzip"}
    whole = b"".join(pieces)
    if how == "gzip":
        return [gzip.compress(whole)], {"content-encoding": "gzip"}
    if how == "deflate":
        return [zlib.compress(whole)], {"content-encoding": "deflate"}
    if how == "bare":
        return [zlib.compress(whole)[2:-4]], {"content-encoding": "deflate"}
    return pieces, {}


class _Player(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""

    def do_POST(self) -> None:
        name = unquote(self.path.split("/")[1])
        sent = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append((name, self.client_address))
        self._play(self.server.cases[name], sent)

    def _play(self, case: dict[str, Any], _: dict[str, Any]) -> None:
        if "wire" in case:
            # All in one write, so that it comes in one read.
            self.wfile.write(b"".join(stream_of(case["wire"])))
            self.close_connection = True
            return
        if "frames" not in case:
            body = case.get("body", "")
            raw = (body if isinstance(body, str) else json.dumps(body)).encode()
            self._head(case, {"content-type": "application/json"} | case.get("headers", {}) | {"content-length": str(len(raw))})
            self.wfile.write(raw)
            return
        pieces, packed = _packed(stream_of(case["frames"], latin=case.get("latin", False)), case.get("pack"))
        if case.get("plain"):
            # The end of the connection ends the body.
            self._head(case, _STREAM | {"connection": "close"})
            self.wfile.write(b"".join(pieces))
            return
        self._head(case, case.get("headers", _STREAM | packed) | {"transfer-encoding": "chunked"})
        for piece in pieces:
            self._put(piece, case)
        self._end(case.get("end", "clean"))

    def _put(self, piece: bytes, case: dict[str, Any]) -> None:
        before = case.get("pause_before", ("", 0))
        time.sleep(before[1] if before[0] and piece in stream_of([before[0]]) else case.get("pause", 0))
        step = case.get("cut", len(piece)) or 1
        for start in range(0, len(piece), step):
            part = piece[start : start + step]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.flush()

    def _head(self, case: dict[str, Any], headers: dict[str, str]) -> None:
        self.send_response(case.get("status", 200))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _end(self, how: str) -> None:
        if how == "clean":
            self.wfile.write(b"0\r\n\r\n")
            return
        self.close_connection = True
        if how == "ping":
            for _ in range(30):
                self._put(b": ping\n\n", {"pause": 0.1})
        elif how == "badchunk":
            self.wfile.write(b"zz\r\n")
        elif how == "reset":
            time.sleep(0.05)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif how.startswith("hold"):
            time.sleep(float(how.split()[1]))


class Server(ThreadingHTTPServer):
    """The server of all cases that it was given."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, played: list[dict[str, Any]]) -> None:
        super().__init__(("127.0.0.1", 0), _Player)
        self.cases = {case["name"]: case for case in played}
        #: Each request's case, and the address of its connection.
        self.asked: list[tuple[str, Any]] = []

    def url(self, name: str) -> str:
        """The base address of a case."""
        return f"http://127.0.0.1:{self.server_address[1]}/{quote(name, safe='')}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is part of many cases."""


@contextmanager
def playing(played: list[dict[str, Any]]) -> Iterator[Server]:
    """Play these cases until the block ends."""
    server = Server(played)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
