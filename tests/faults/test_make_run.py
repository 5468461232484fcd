"""`make run` in a fresh clone, as a person would: it answers, says what is wrong in one line, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.support.checkout import Checkout, Running
from tests.support.processes import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def checkout() -> Iterator[Checkout]:
    """A fresh clone in a folder with a name of 150 characters; when root runs the tests, an ordinary user owns it."""
    with Checkout("long-" * 30) as made:
        yield made


@pytest.fixture
def stack(checkout: Checkout) -> Running:
    """The running stack of that clone, started by `make run` unless a test before left it running."""
    return checkout.up()


def _is_up(web: str) -> bool:
    try:
        return httpx.get(f"{web}/readyz").status_code == 200
    except httpx.HTTPError:
        return False


def test_every_command_line_holds_the_path_and_the_pages_answer(checkout: Checkout, stack: Running) -> None:
    lines = checkout.command_lines()
    ours = [line for line in lines.values() if not line.startswith((b"postgres: ", b"make\0"))]

    assert httpx.get(f"{stack.web}/readyz").status_code == 200
    assert httpx.get(f"{stack.web}/chat").status_code == 200
    assert len(ours) >= 9
    # Postgres names its own backends, and keeps 63 bytes of us.
    assert all(os.fsencode(checkout.folder) in line for line in ours)
    assert any(b"celery" in line for line in ours)
    if checkout.user:
        assert {Path(f"/proc/{pid}").stat().st_uid for pid in lines} == {checkout.user.pw_uid}


def test_the_command_finds_the_stack_from_any_folder_and_the_model_answers(checkout: Checkout, stack: Running) -> None:
    assert stack.run.poll() is None
    send = ("webhook", "send", "--account", "demo", "--text", "hello", "--wait", "60")
    code, said = checkout.chinwag(*send, within=Path("/"))
    checked, report = checkout.chinwag("doctor", within=Path("/"))

    assert (code, bool(said.strip())) == (0, True), said
    assert (checked, "WRONG" in report) == (0, False), report


@pytest.mark.parametrize("part", [b"bots.web", b"workers.dispatch", b"celery", b"fake-platform", b"embed_server"], ids=bytes.decode)
def test_a_part_that_is_killed_comes_back(checkout: Checkout, stack: Running, part: bytes) -> None:
    assert stack.run.poll() is None

    def running() -> set[int]:
        return {pid for pid, line in checkout.command_lines().items() if part in line}

    before = running()
    os.kill(min(before), signal.SIGKILL)

    assert len(before) == 1
    until(lambda: not before & running(), timeout_s=5, what="the end of the part's process")
    until(running, timeout_s=20, what="the part to come back")
    until(lambda: _is_up(stack.web), timeout_s=20, what="the web to be there")


def _webs(checkout: Checkout) -> set[int]:
    return {pid for pid, line in checkout.command_lines().items() if b"bots.web" in line}


def _tried(url: str, over: threading.Event) -> list[str]:
    """Ask again and again, each time once and on a connection of its own; what came of each."""
    found: list[str] = []
    while not over.is_set():
        try:
            found.append(str(httpx.get(url, timeout=60, trust_env=False).status_code))
        except httpx.TransportError as error:
            found.append(type(error).__name__)
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGHUP])
def test_while_the_web_is_started_again_and_again_nobody_is_refused(checkout: Checkout, stack: Running, number: signal.Signals) -> None:
    over = threading.Event()
    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(_tried, f"{stack.web}/livez", over) for _ in range(4)]
        for _ in range(2):
            until(lambda: _is_up(stack.web), timeout_s=30, what="the web to be there")
            before = _starts(checkout)
            os.kill(min(_webs(checkout)), number)
            until(lambda before=before: _starts(checkout) > before, timeout_s=40, what="the web starts again")
        until(lambda: _is_up(stack.web), timeout_s=30, what="the web to be there")
        over.set()
        found = [one for asked in asking for one in asked.result()]

    # What a killed process was about to answer is lost; without that nobody notices anything.
    lost = {"ReadError", "RemoteProtocolError"} if number is signal.SIGKILL else set[str]()
    assert set(found) <= {"200"} | lost
    assert len([one for one in found if one != "200"]) <= 8


def _starts(checkout: Checkout) -> int:
    """How often the web has started so far."""
    return (checkout.folder / ".chinwag" / "logs" / "web.log").read_text("utf-8", errors="replace").count("web_started")


def test_a_second_start_says_where_the_first_one_is_and_make_stop_ends_it(checkout: Checkout, stack: Running) -> None:
    code, said = checkout.make("run", "PORT=0", "MODEL=tiny")
    still = _is_up(stack.web)
    stopped, _ = checkout.make("stop")

    assert (code, still, stopped) == (2, True, 0)
    assert f"{stack.web}/chat" in said
    assert not checkout.command_lines()
    assert stack.run.wait(5) is not None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_all_within_eight_seconds(checkout: Checkout, number: signal.Signals) -> None:
    stack = checkout.up()
    before = len(checkout.said())
    # As a terminal does: the whole foreground, make and what it started.
    os.killpg(stack.run.pid, number)

    assert checkout.is_empty(within_s=8), checkout.command_lines()
    assert "Traceback" not in checkout.said()[before:]


def test_nothing_outlives_a_kill_of_the_supervisor_for_five_seconds(checkout: Checkout, stack: Running) -> None:
    assert stack.run.poll() is None
    before = checkout.command_lines()
    os.kill(checkout.supervisor(), signal.SIGKILL)

    assert len(before) >= 9
    assert checkout.is_empty(within_s=5), checkout.command_lines()


def test_root_runs_it_in_a_folder_that_only_root_may_enter_until_the_terminal_closes(checkout: Checkout) -> None:
    checkout.stop()
    # Made by the ordinary user: root's own Python may lie where that user may not go.
    checkout.make("install")
    with checkout.closed_to_others():
        stack = checkout.up()

        assert _is_up(stack.web)
        os.killpg(stack.run.pid, signal.SIGHUP)
        assert checkout.is_empty(within_s=8), checkout.command_lines()


def test_a_busy_port_is_one_line(checkout: Checkout) -> None:
    checkout.stop()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, said = checkout.make("run", f"PORT={port}", "MODEL=tiny")

    assert code == 2
    assert _lines(said) == [f"Cannot run: port {port} is taken: give another with PORT=, for instance PORT={port + 1}"]


def test_a_broken_model_is_one_line_and_leaves_nothing_running(checkout: Checkout) -> None:
    checkout.stop()
    broken = checkout.home / "broken.gguf"
    broken.write_bytes(b"GGUF" + b"\0" * 4096)
    broken.chmod(0o644)
    code, said = checkout.make("run", "PORT=0", f"MODEL={broken}")

    assert code == 2
    assert len([line for line in _lines(said) if "the chat model could not be loaded" in line]) == 1
    assert "Traceback" not in said
    assert not checkout.command_lines()


def test_a_wrong_python_is_one_line(checkout: Checkout) -> None:
    code, said = checkout.make("install", "PYTHON=/bin/false")

    assert code == 2
    assert [line for line in _lines(said) if "Python 3.11 to 3.14" in line] == _lines(said)


def test_no_network_is_one_line(checkout: Checkout) -> None:
    with socket.socket() as closed:
        # Bound, and nobody listens.
        closed.bind(("127.0.0.1", 0))
        index = f"http://127.0.0.1:{closed.getsockname()[1]}/simple"
        began = time.monotonic()
        code, said = checkout.make("install", fresh=True, PIP_INDEX_URL=index, PIP_CONFIG_FILE=os.devnull, PIP_RETRIES="0")

    assert code == 2
    assert _lines(said)[-1].startswith("Cannot install: the packages could not be installed: no package index could be reached")
    assert time.monotonic() - began < 60


def _lines(said: str) -> list[str]:
    """What was said, without what says that the environment is there and without make's own last word."""
    return [line for line in said.splitlines() if line.strip() and not line.startswith(("Environment ", "make: *** ", "make[1]: *** "))]


def test_a_full_disk_is_one_line(checkout: Checkout) -> None:
    checkout.stop()
    with checkout.small_disk() as disk:
        code, said = checkout.make("run", "PORT=0", "MODEL=tiny", CHINWAG_LOCAL_DATA=str(disk))

    assert code == 2
    assert len(_lines(said)) == 1
    assert "is full" in _lines(said)[0]


def test_reset_asks_first(checkout: Checkout) -> None:
    checkout.stop()
    checkout.make("install")
    checkout.data()
    asked, said = checkout.make("reset")
    kept = (checkout.folder / ".chinwag").exists()
    code, _ = checkout.chinwag("reset", "--yes", within=Path("/"))

    assert (asked, kept, code) == (2, True, 0)
    assert "--yes" in said
    assert not (checkout.folder / ".chinwag").exists()
