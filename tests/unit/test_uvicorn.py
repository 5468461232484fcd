"""What bots/web/serving uses of uvicorn's inside. It is no interface of uvicorn's, so a new version may change it.

When a test here fails after an upgrade: read what changed in uvicorn's protocols/http/httptools_impl.py, flow_control.py and server.py, adapt bots/web/serving, and
let tests/integration/test_web_bounds.py, tests/faults/test_strangers.py and `python -m bench.strangers` speak. Then move the bounds in pyproject.toml and here.
"""

from __future__ import annotations

import asyncio
import inspect
import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

_PROJECT = Path(__file__).parents[2] / "pyproject.toml"
#: Verified with both: the first has `_start_asgi_task`, and the last is the one before the bound.
_LOWEST, _BELOW = (0, 45), (0, 55)


async def _app(_scope: Scope, _receive: Receive, _send: Send) -> None:
    """Never called."""


@pytest.fixture
def protocol() -> Iterator[HttpToolsProtocol]:
    """A connection's protocol as uvicorn makes it, at the beginning of a request."""
    loop = asyncio.new_event_loop()
    config = uvicorn.Config(_app, ws="none", log_config=None)
    config.load()
    made = HttpToolsProtocol(config=config, server_state=ServerState(), app_state={}, _loop=loop)
    made.on_message_begin()
    yield made
    loop.close()


def test_the_installed_version_is_one_that_was_verified() -> None:
    major, minor = (int(part) for part in version("uvicorn").split(".")[:2])
    wanted = tomllib.loads(_PROJECT.read_text())["project"]["dependencies"]

    assert f"uvicorn>={_LOWEST[0]}.{_LOWEST[1]},<{_BELOW[0]}.{_BELOW[1]}" in wanted, __doc__
    assert _LOWEST <= (major, minor) < _BELOW, __doc__


def test_a_connection_has_the_fields_that_ours_reads_and_sets(protocol: HttpToolsProtocol) -> None:
    wanted = {
        "app",
        "client",
        "config",
        "connections",
        "cycle",
        "flow",
        "headers",
        "parser",
        "pipeline",
        "scope",
        "server_state",
        "tasks",
        "url",
    }

    assert wanted <= vars(protocol).keys(), __doc__


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("connection_made", ["transport"]),
        ("connection_lost", ["exc"]),
        ("pause_writing", []),
        ("resume_writing", []),
        ("on_message_begin", []),
        ("on_url", ["url"]),
        ("on_header", ["name", "value"]),
        ("on_headers_complete", []),
        ("on_body", ["body"]),
        ("on_message_complete", []),
        ("on_response_complete", []),
        ("_start_asgi_task", ["cycle", "app"]),
        ("shutdown", []),
    ],
)
def test_a_connection_has_the_methods_that_ours_extends(name: str, parameters: list[str]) -> None:
    method = getattr(HttpToolsProtocol, name, None)

    assert method is not None, __doc__
    assert list(inspect.signature(method).parameters)[1:] == parameters, __doc__


def test_a_request_begins_where_ours_waits_until_it_is_whole() -> None:
    begins = [HttpToolsProtocol.on_headers_complete, HttpToolsProtocol.on_response_complete]

    assert all("self._start_asgi_task(" in inspect.getsource(method) for method in begins), __doc__
    assert not re.search(r"create_task\(", "".join(map(inspect.getsource, begins))), __doc__


def test_a_request_has_the_fields_that_ours_reads_and_sets() -> None:
    sets = inspect.getsource(RequestResponseCycle.__init__)
    wanted = ("body", "disconnected", "keep_alive", "message_event", "more_body", "response_complete", "response_started", "scope")

    assert all(f"self.{name} = " in sets for name in (*wanted, "waiting_for_100_continue")), __doc__


def test_the_flow_is_held_back_by_what_ours_extends() -> None:
    sets = inspect.getsource(FlowControl.__init__)

    assert all(f"self.{name} = " in sets for name in ("_transport", "read_paused", "write_paused")), __doc__
    assert {"pause_reading", "resume_reading", "pause_writing", "resume_writing", "drain"} <= vars(FlowControl).keys(), __doc__


def test_the_server_has_the_steps_that_ours_extends() -> None:
    steps = {
        name: list(inspect.signature(getattr(uvicorn.Server, name)).parameters)[1:]
        for name in ("startup", "shutdown", "on_tick", "handle_exit")
    }

    assert steps == {"startup": ["sockets"], "shutdown": ["sockets"], "on_tick": ["counter"], "handle_exit": ["sig", "frame"]}, __doc__
    # Our connections that are not open yet stand in this set, and a stop waits until it is empty.
    assert "self.server_state.connections" in inspect.getsource(uvicorn.Server.shutdown), __doc__
    assert isinstance(ServerState().connections, set), __doc__
