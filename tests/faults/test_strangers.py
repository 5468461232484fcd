"""Strangers at the web with nothing in front of it: honest webhooks get in, and memory is bounded. A restart refuses nobody."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.support import build
from tests.support.processes import ROOT, Process, die_with_parent, until
from tests.support.stack import Stack

_MOST_MB = 64


@pytest.fixture(autouse=True)
def _nobody_answers(stack: Stack) -> None:
    stack.settles = False


def _limited(stack: Stack, files: int = 1024, **env: str) -> Process:
    """The web as a command, with so many files."""
    command = ["sh", "-c", f'ulimit -n {files}; exec "$0" -m bots.web', sys.executable]
    web = stack.processes.start_command("web", command, stack.env | env)
    web.wait_ready(stack.web_is_ready)
    return web


def _a_body() -> bytes:
    person = build.a_person()
    return build.a_webhook(messages=[build.a_text(person, "hello")], people=[person])


def _whole(body: bytes) -> bytes:
    """A signed webhook as it goes over the line."""
    head = "".join(f"{key}: {value}\r\n" for key, value in build.sign(body).items())
    return f"POST /webhooks/whatsapp/test HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n{head}\r\n".encode() + body


def _post(stack: Stack, body: bytes) -> str:
    """Send a webhook once, on a connection of its own; returns the status, or what went wrong."""
    try:
        return str(httpx.post(stack.hook, content=body, headers=build.sign(body), timeout=15, trust_env=False).status_code)
    except httpx.TransportError as error:
        return type(error).__name__


def _resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


@pytest.mark.parametrize(
    "attack",
    [
        "endless headers",
        "idle sockets",
        "slow bodies",
        "tiny chunks",
        "large bodies, unfinished",
        "not reading",
        "pipelining",
        "guessed names",
    ],
)
def test_strangers_stop_no_honest_webhook_and_take_little_memory(stack: Stack, attack: str) -> None:
    web = _limited(stack)
    assert _post(stack, _a_body()) == "200"
    before, most = _resident_mb(web.pid), 0.0
    command = [sys.executable, "-m", "tests.support.strangers", attack, str(stack.web_port), "30"]
    strangers = subprocess.Popen(command, cwd=ROOT, preexec_fn=die_with_parent)  # noqa: PLW1509 - one system call; our own command
    try:
        found: list[str] = []
        end = time.monotonic() + 5
        while time.monotonic() < end:
            found.append(_post(stack, _a_body()))
            most = max(most, _resident_mb(web.pid))
    finally:
        strangers.kill()
        strangers.wait()

    assert set(found) == {"200"}
    assert len(found) >= 10
    assert most - before <= _MOST_MB


def test_a_call_of_the_api_is_bounded_before_it_is_known_who_calls(stack: Stack) -> None:
    stack.start_web()
    large = b'{"name": "' + b"a" * 2 * 1024 * 1024 + b'"}'
    url, headers = f"{stack.web_url}/api/v1/bots", {"content-type": "application/json"}

    declared = httpx.post(url, content=large, headers=headers, trust_env=False)
    chunked = httpx.post(url, content=iter([large]), headers=headers, trust_env=False)

    assert (declared.status_code, chunked.status_code) == (413, 413)


def _post_in_halves(stack: Stack, body: bytes) -> str:
    """Send a webhook whose second half comes a little later; returns the status, or what went wrong."""
    whole = _whole(body)
    try:
        with socket.create_connection(("127.0.0.1", stack.web_port), timeout=15) as peer:
            peer.sendall(whole[: -len(body) // 2])
            time.sleep(0.1)
            peer.sendall(whole[-len(body) // 2 :])
            return peer.recv(65536)[9:12].decode() or "closed"
    except OSError as error:
        return type(error).__name__


class _Platform(threading.Thread):
    """Sends webhooks one after another, each once and on a connection of its own, until it is told to stop."""

    def __init__(self, stack: Stack, post: Callable[[Stack, bytes], str] = _post) -> None:
        super().__init__()
        self.stack, self.post, self.found, self.over = stack, post, list[str](), threading.Event()

    def run(self) -> None:
        while not self.over.is_set():
            self.found.append(self.post(self.stack, _a_body()))

    def finish(self) -> list[str]:
        """What became of each."""
        self.over.set()
        self.join()
        return self.found


def _platforms(stack: Stack) -> list[_Platform]:
    platforms = [_Platform(stack, post) for post in (_post, _post, _post_in_halves, _post_in_halves)]
    for platform in platforms:
        platform.start()
    until(lambda: all(len(platform.found) > 3 for platform in platforms), what="webhooks arrive")
    return platforms


def _all_got_in(stack: Stack, platforms: list[_Platform]) -> None:
    before = [len(platform.found) for platform in platforms]
    until(lambda: all(len(p.found) > n + 3 for p, n in zip(platforms, before, strict=True)), what="webhooks arrive again", timeout_s=30)
    found = [status for platform in platforms for status in platform.finish()]

    assert set(found) == {"200"}
    assert stack.one("select count(*) from inbox") == len(found)


def test_a_restart_in_place_refuses_no_webhook(stack: Stack) -> None:
    web = _limited(stack)
    platforms = _platforms(stack)

    for starts in (2, 3):
        web.popen.send_signal(signal.SIGHUP)
        until(lambda starts=starts: web.printed().count("web_started") == starts, what="the web starts again", timeout_s=90)

    _all_got_in(stack, platforms)
    assert web.alive()


def test_who_asks_twice_for_a_restart_gets_one_and_nobody_is_refused(stack: Stack) -> None:
    web = _limited(stack)
    platforms = _platforms(stack)

    web.popen.send_signal(signal.SIGHUP)
    web.popen.send_signal(signal.SIGHUP)
    until(lambda: web.printed().count("web_started") == 2, what="the web starts again", timeout_s=90)

    _all_got_in(stack, platforms)
    assert web.alive()
    assert web.printed().count("web_started") == 2


def test_a_program_that_would_not_start_replaces_nothing(stack: Stack) -> None:
    catalog = stack.folder / "catalog"
    catalog.mkdir()
    web = _limited(stack, CHINWAG_MODEL_CATALOG=str(catalog))
    platforms = _platforms(stack)

    (catalog / "broken.toml").write_text("this is no catalog")
    web.popen.send_signal(signal.SIGHUP)
    until(lambda: "web_restart_given_up" in web.printed(), what="the restart is given up", timeout_s=90)

    _all_got_in(stack, platforms)
    assert web.printed().count("web_started") == 1
    assert "broken.toml" in web.printed()


def test_a_stop_does_not_wait_for_the_check_of_a_restart(stack: Stack) -> None:
    web = _limited(stack)
    web.popen.send_signal(signal.SIGHUP)
    until(lambda: _children(web.pid), what="the check runs")
    began = time.monotonic()
    web.popen.send_signal(signal.SIGTERM)

    assert web.popen.wait(10) in {0, -signal.SIGTERM}
    assert time.monotonic() - began < 6


def _children(pid: int) -> str:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").strip()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_on_a_socket_that_was_handed_over_nobody_is_refused_while_no_process_runs(stack: Stack, number: signal.Signals) -> None:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", stack.web_port))
        listener.listen()
        handed = ["sh", "-c", 'exec "$0" -m bots.web 3<&0', sys.executable]
        env = stack.env | {"LISTEN_FDS": "1"}
        first = _handed(stack, handed, env, listener)
        until(stack.web_is_ready, what="the web is ready")
        platform = _Platform(stack)
        if number is signal.SIGTERM:
            platform.start()
            until(lambda: len(platform.found) > 3, what="webhooks arrive")
        first.send_signal(number)
        first.wait(10)
        if number is signal.SIGKILL:
            # What was under way had no answer, and the platform sends it again. Whoever comes later is not refused.
            platform.start()
        second = _handed(stack, handed, env, listener)
        before = len(platform.found)
        until(lambda: len(platform.found) > before + 3, what="webhooks arrive again", timeout_s=30)

        assert set(platform.finish()) == {"200"}
        second.terminate()
        second.wait(10)


def _handed(stack: Stack, command: list[str], env: dict[str, str], listener: socket.socket) -> subprocess.Popen[bytes]:
    with (stack.folder / "handed.log").open("ab") as output:
        clean = {key: value for key, value in os.environ.items() if not key.startswith("CHINWAG_")} | {"PYTHONPATH": str(ROOT)}
        return subprocess.Popen(command, stdin=listener, stdout=output, stderr=output, env=clean | env, preexec_fn=die_with_parent)  # noqa: PLW1509


def test_a_request_under_way_is_finished_before_a_stop_and_an_unfinished_one_does_not_hold_it_up(stack: Stack) -> None:
    web = _limited(stack)
    body = _a_body()
    whole = _whole(body)
    with (
        socket.create_connection(("127.0.0.1", stack.web_port), timeout=10) as honest,
        socket.create_connection(("127.0.0.1", stack.web_port), timeout=10) as stranger,
    ):
        honest.sendall(whole[:-10])
        stranger.sendall(whole[:-10])
        until(lambda: "ESTAB" in _state(honest), what="the connection stands")
        began = time.monotonic()
        web.popen.send_signal(signal.SIGTERM)
        until(lambda: not _is_listening(stack.web_port), what="the web listens no more")
        honest.sendall(whole[-10:])

        assert honest.recv(65536).startswith(b"HTTP/1.1 200")
        assert stranger.recv(65536).startswith(b"HTTP/1.1 503")
    web.popen.wait(10)
    assert time.monotonic() - began < 6
    assert stack.one("select count(*) from inbox") == 1


def _state(peer: socket.socket) -> str:
    return "ESTAB" if peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) == b"\x01" else ""


def _is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
