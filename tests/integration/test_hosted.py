"""What `make run MODEL_URL=` learns of the server there, and how many turns at once its worker then gets."""

from __future__ import annotations

import json
import socket
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from chinwag.local.hosted import FEW, MANY, look

_LIST = {"object": "list", "data": [{"id": "m", "object": "model"}]}


@contextmanager
def _server(pages: dict[str, Any]) -> Generator[str]:
    """A server with these pages, as JSON or as they are; 404 elsewhere."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = pages.get(self.path)
            body = page if isinstance(page, bytes) else json.dumps(page).encode()
            self.send_response(404 if page is None else 200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        server.shutdown()


def _owned(owner: str) -> dict[str, Any]:
    return {"object": "list", "data": [{"id": "m", "object": "model", "owned_by": owner}]}


@pytest.mark.parametrize(
    ("pages", "slots"),
    [
        pytest.param({"/v1/models": _owned("vllm")}, MANY, id="vLLM"),
        pytest.param({"/v1/models": _owned("llamacpp"), "/props": {"total_slots": 4}}, FEW, id="llama.cpp with few"),
        pytest.param({"/v1/models": _owned("llamacpp"), "/props": {"total_slots": 48}}, 48, id="llama.cpp with many"),
        pytest.param({"/v1/models": _owned("llamacpp")}, MANY, id="llama.cpp that does not tell"),
        pytest.param({"/v1/models": _owned("library")}, FEW, id="Ollama"),
        pytest.param({"/v1/models": _owned("system")}, MANY, id="a hosted one"),
        pytest.param({"/v1/models": _LIST}, MANY, id="one without owners"),
        pytest.param({"/v1/models": [{"id": "m"}]}, MANY, id="a bare list"),
        pytest.param({"/v1/models": {"data": ["m", None, {"owned_by": ["x"]}]}}, MANY, id="rows of any kind"),
        pytest.param({"/v1/models": {"data": 7}}, MANY, id="no rows"),
        pytest.param({"/v1/models": b"<html>"}, MANY, id="no JSON"),
        pytest.param({"/v1/models": b"[" * 100_000}, MANY, id="deep JSON"),
        pytest.param({}, MANY, id="no list of models"),
    ],
)
def test_a_server_gets_as_many_turns_as_it_says_it_bears_and_else_many(pages: dict[str, Any], slots: int) -> None:
    with _server(pages) as url:
        found = look(url)

    assert (found.problem, found.slots) == ("", slots)


def test_one_that_cannot_be_reached_is_said_to_be_so() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        found = look(f"http://127.0.0.1:{closed.getsockname()[1]}/v1")

    assert found.problem
    assert found.slots == MANY
