"""`make run` in a fresh clone, as a person would: it answers, says what is wrong in one line, and leaves nothing behind."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

_ROOT = Path(__file__).parent.parent.parent
_CHAT = re.compile(r"^Chat page: (http://127\.0\.0\.1:\d+)/chat$", re.MULTILINE)
_ADMIN = re.compile(r"^Admin: http://127\.0\.0\.1:\d+/admin/\S+$", re.MULTILINE)


def _eventually(claim: Callable[[], bool], *, within_s: float) -> bool:
    end = time.monotonic() + within_s
    while not claim():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


class Clone:
    """A fresh clone with the work tree's files, and `make` in it."""

    def __init__(self, folder: Path, *, user: str | None = None) -> None:
        self.folder = folder
        self._user = user
        self._runs: list[subprocess.Popen[bytes]] = []
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=_ROOT, capture_output=True, check=True
        )
        for name in filter(None, listed.stdout.decode().split("\0")):
            if (_ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(_ROOT / name, folder / name)
        if user is not None:
            subprocess.run(["chown", "-R", user, str(folder)], check=True)

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        entry = pwd.getpwnam(self._user) if self._user else None
        env = {key: value for key, value in os.environ.items() if not key.startswith(("CHINWAG_", "PYTHONPATH", "MAKE", "VIRTUAL_ENV"))}
        env.pop("MODEL", None)
        run = subprocess.Popen(
            ["make", *arguments],
            cwd=self.folder,
            env={**env, **({"HOME": str(self.folder.parent)} if entry else {})},
            stdout=(self.folder.parent / "out").open("ab"),
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            **({"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []} if entry else {}),
        )
        self._runs.append(run)
        return run

    def run(self, *arguments: str, within_s: float = 240) -> tuple[int, str]:
        before = len(self.said())
        return self.start(*arguments).wait(within_s), self.said()[before:]

    def said(self) -> str:
        out = self.folder.parent / "out"
        return out.read_text(errors="replace") if out.exists() else ""

    def up(self, *arguments: str, within_s: float = 240) -> tuple[subprocess.Popen[bytes], str]:
        before = len(self.said())
        run = self.start("run", "PORT=0", "MODEL=tiny", *arguments)
        assert _eventually(lambda: run.poll() is not None or bool(_ADMIN.search(self.said()[before:])), within_s=within_s)
        found = _CHAT.search(self.said()[before:])
        assert found, self.said()[before:]
        return run, found[1]

    def processes(self) -> list[int]:
        mine = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if os.fsencode(f"{self.folder}/") in (entry / "cmdline").read_bytes():
                    mine.append(int(entry.name))
            except OSError:
                continue
        return mine

    def supervisor(self) -> int:
        return int((self.folder / ".chinwag" / "run" / "lock").read_text())

    def end(self) -> None:
        for run in self._runs:
            if run.poll() is None:
                os.killpg(run.pid, signal.SIGKILL)
                run.wait()


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """A clone in a long folder that only its owner may enter."""
    folder = tmp_path_factory.mktemp("clone") / ("long-" * 30)
    folder.mkdir(mode=0o700)
    made = Clone(folder)
    yield made
    made.end()


def test_it_comes_up_says_where_and_stops_within_eight_seconds(clone: Clone) -> None:
    run, web = clone.up()
    commands = b"\n".join(Path(f"/proc/{pid}/cmdline").read_bytes() for pid in clone.processes())

    assert httpx.get(f"{web}/readyz").status_code == 200
    assert httpx.get(f"{web}/chat").status_code == 200
    assert b"celery" in commands
    os.kill(run.pid, signal.SIGTERM)
    assert _eventually(lambda: not clone.processes(), within_s=8)


def test_a_second_start_says_that_one_is_running_and_where(clone: Clone) -> None:
    run, web = clone.up()
    code, said = clone.run("run", "PORT=0", "MODEL=tiny")
    stopped, _ = clone.run("stop")

    assert (code, stopped) == (2, 0)
    assert f"{web}/chat" in said
    assert run.wait(10) is not None


def test_nothing_outlives_a_kill_of_the_supervisor_for_five_seconds(clone: Clone) -> None:
    clone.up()
    pids = clone.processes()
    os.kill(clone.supervisor(), signal.SIGKILL)

    assert len(pids) >= 8
    assert _eventually(lambda: not clone.processes(), within_s=5)


def test_a_part_that_is_killed_comes_back(clone: Clone) -> None:
    run, web = clone.up()
    worker = next(pid for pid in clone.processes() if b"bots.web" in Path(f"/proc/{pid}/cmdline").read_bytes())
    os.kill(worker, signal.SIGKILL)

    def is_back() -> bool:
        try:
            return httpx.get(f"{web}/readyz").status_code == 200
        except httpx.HTTPError:
            return False

    assert _eventually(lambda: worker not in clone.processes(), within_s=5)
    assert _eventually(is_back, within_s=20)
    run.send_signal(signal.SIGTERM)
    run.wait(10)


def test_a_busy_port_is_one_line(clone: Clone) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, said = clone.run("run", f"PORT={port}", "MODEL=tiny")

    assert code == 2
    assert f"port {port} is taken" in said


def test_a_broken_model_is_one_line(clone: Clone) -> None:
    broken = clone.folder.parent / "broken.gguf"
    broken.write_bytes(b"GGUF" + b"\0" * 4096)
    code, said = clone.run("run", "PORT=0", f"MODEL={broken}")

    assert code == 2
    assert "the chat model could not be loaded" in said
    assert "Traceback" not in said


def test_a_wrong_python_is_one_line(clone: Clone) -> None:
    code, said = clone.run("install", "PYTHON=/bin/false")

    assert code == 2
    assert "Python 3.11 to 3.14" in said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else; every other test here ran as an ordinary user")
def test_an_ordinary_user_runs_it_too(tmp_path_factory: pytest.TempPathFactory) -> None:
    home = Path(tmp_path_factory.mktemp("home"))
    for folder in (home, *home.parents):
        if folder.stat().st_uid == 0 and folder != Path("/") and str(folder).startswith("/tmp/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    folder = home / "chinwag"
    folder.mkdir()
    made = Clone(folder, user="nobody")
    try:
        subprocess.run(["chown", "nobody", str(home)], check=True)
        run, web = made.up()

        assert httpx.get(f"{web}/readyz").status_code == 200
        run.send_signal(signal.SIGTERM)
        assert _eventually(lambda: not made.processes(), within_s=8)
    finally:
        made.end()
