"""A connection that is kept for a next call ends with whoever kept it, in whatever order the collector takes what is left."""

from __future__ import annotations

import gc
import threading
import time
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from inference.client.transport import Wire, read_at_most
from tests.support.stack import a_free_port


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that the library gives it
        pass


@contextmanager
def _server(port: int) -> Generator[None]:
    running = ThreadingHTTPServer(("127.0.0.1", port), _Answers)
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield
    finally:
        running.shutdown()
        thread.join()
        running.server_close()


def _ask(wire: Wire) -> bytes | None:
    response, _ = wire.get("/", connect_s=2, until=time.monotonic() + 5)
    try:
        return read_at_most(response, 100)
    finally:
        response.close()


def test_a_socket_that_is_younger_than_its_keeper_is_closed_by_it() -> None:
    port = a_free_port()
    wire = Wire(f"http://127.0.0.1:{port}", {})
    gc.collect()
    gc.disable()
    try:
        # The thread's transport is made, and grows older than the socket. Of a collection of all ages the youngest come first.
        with pytest.raises(httpx.ConnectError):
            _ask(wire)
        gc.collect(0)
        with _server(port), warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            assert _ask(wire) == b"ok"
            around: list[object] = [wire]
            around.append(around)
            del wire, around
            gc.collect()
    finally:
        gc.enable()

    assert [str(one.message) for one in warned] == []
