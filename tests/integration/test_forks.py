"""Parts as forks: one behaves as the process of its command would, and a stack leaves none behind."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from chinwag.local import forks

_PART = """
import json, os, signal, sys, time

def main():
    facts = {
        "argv": sys.argv[1:],
        "env": {key: value for key, value in os.environ.items() if key.startswith("CHINWAG_")},
        "home": os.environ.get("HOME"),
        "cwd": os.getcwd(),
        "leads": os.getsid(0) == os.getpid(),
        "term": signal.getsignal(signal.SIGTERM) == signal.SIG_DFL,
        "files": sorted(os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")),
    }
    print(json.dumps(facts))
    print("a word to stderr", file=sys.stderr)
    if sys.argv[1:] == ["fail"]:
        raise ValueError("as asked")
    if sys.argv[1:] == ["end"]:
        return 7
    time.sleep(600)
"""
_PARENT = """
import os, signal, sys, time
from pathlib import Path
from chinwag.local import forks
folder = Path(sys.argv[1])
sys.path.insert(0, str(folder))
signal.signal(signal.SIGTERM, lambda *_: (folder / "handled").touch())
lock = (folder / "lock").open("w")
env = {**os.environ, "CHINWAG_A": "1"}
children = [forks.fork("a_part", given.split(), name="Part", log=folder / f"{n}.log", env=env, cwd=folder) for n, given in enumerate(sys.argv[2:])]
print(*(child.pid for child in children), flush=True)
while True:
    ended = input()
    child = children[int(ended)]
    print(child.process.wait(20), flush=True)
"""


class _Parent:
    """A supervisor of forks in a process of its own: that of the tests has threads."""

    def __init__(self, folder: Path, *parts: str) -> None:
        (folder / "a_part.py").write_text(_PART)
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-c", _PARENT, str(folder), *parts],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "CHINWAG_OF_THE_PARENT": "1"},
        )
        assert self.process.stdout is not None
        self.parts = [int(word) for word in self.process.stdout.readline().split()]

    def facts(self, part: int = 0) -> dict[str, object]:
        """What a part found when it began."""
        log = self.folder / f"{part}.log"
        assert _eventually(lambda: "stderr" in _read(log)), _read(log)
        return json.loads(_read(log).splitlines()[0])

    def end_of(self, part: int) -> int:
        """The exit code of a part, waited for by its parent."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{part}\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _eventually(claim: Callable[[], bool], *, within_s: float = 10) -> bool:
    end = time.monotonic() + within_s
    while not claim():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


@pytest.mark.parametrize("option", ["wait", "an-option-" + "long" * 2000])
def test_a_fork_is_what_its_command_would_be(tmp_path: Path, option: str) -> None:
    parent = _Parent(tmp_path, option)
    try:
        facts = parent.facts()
        shown = Path(f"/proc/{parent.parts[0]}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        log = str(tmp_path / "0.log")
    finally:
        parent.kill()

    assert facts["argv"] == [option]
    # The seed is that of the run of tests, if it has one.
    assert {name: value for name, value in facts["env"].items() if name != "CHINWAG_TEST_SEED"} == {
        "CHINWAG_OF_THE_PARENT": "1",
        "CHINWAG_A": "1",
    }
    assert facts["home"] == os.environ.get("HOME")
    assert (facts["cwd"], facts["leads"], facts["term"]) == (str(tmp_path), True, True)
    # Neither the lock of its parent nor a pipe to it.
    assert facts["files"] == ["/dev/null", log, log]
    whole = f"{sys.executable} -m a_part {option}"
    # There is only so much room for it as the parent's own line and environment take.
    assert shown == whole or (len(shown) > 200 and whole.startswith(shown))


def test_its_end_reaches_the_parent(tmp_path: Path) -> None:
    parent = _Parent(tmp_path, "end", "fail", "wait", "wait")
    try:
        for part in range(4):
            parent.facts(part)
        os.kill(parent.parts[2], signal.SIGTERM)
        os.kill(parent.parts[3], signal.SIGKILL)
        codes = [parent.end_of(part) for part in range(4)]
        said = _read(tmp_path / "1.log")
    finally:
        parent.kill()

    assert codes == [7, 1, -signal.SIGTERM, -signal.SIGKILL]
    assert "ValueError: as asked" in said
    # The parent's own handler ran in none of them.
    assert not (tmp_path / "handled").exists()


def test_none_outlives_its_parent(tmp_path: Path) -> None:
    parent = _Parent(tmp_path, "wait", "wait", "wait")
    for part in range(3):
        parent.facts(part)
    parent.kill()

    assert _eventually(lambda: not any(_read_line(str(pid)) for pid in parent.parts))


def test_a_signal_in_the_midst_of_a_fork_ends_parent_and_part(tmp_path: Path) -> None:
    (tmp_path / "a_part.py").write_text(_PART)
    # The signal comes when the child is there and its parent does not know it yet.
    code = """
import os, signal, sys
from pathlib import Path
from chinwag.local import forks

def end(*_):
    raise SystemExit(9)

folder = Path(sys.argv[1])
sys.path.insert(0, str(folder))
signal.signal(signal.SIGTERM, end)
os.register_at_fork(
    after_in_parent=lambda: os.kill(os.getpid(), signal.SIGTERM), after_in_child=lambda: (folder / "pid").write_text(str(os.getpid()))
)
forks.fork("a_part", ["wait"], name="Part", log=folder / "0.log", env=os.environ, cwd=folder)
"""
    parent = subprocess.run([sys.executable, "-c", code, str(tmp_path)], timeout=20, check=False)
    part = _read(tmp_path / "pid")

    assert parent.returncode == 9
    # It may have ended before it wrote its number.
    assert not part or _eventually(lambda: not _read_line(part))


def _read_line(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_a_second_signal_does_not_break_off_what_the_first_one_began_and_a_later_one_asks_again() -> None:
    code = """
import os, signal, time
from chinwag.cli import run

stop = run.Stop()
for number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, stop)
try:
    os.kill(os.getpid(), signal.SIGTERM)
except run.Stopped:
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGHUP)
    print("went on")
time.sleep(1.1)
try:
    os.kill(os.getpid(), signal.SIGTERM)
except run.Stopped:
    print("asked again")
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=False)

    assert (ended.returncode, ended.stdout) == (0, "went on\nasked again\n"), ended.stderr


def test_a_process_with_threads_is_not_forked() -> None:
    going = threading.Event()
    thread = threading.Thread(target=going.wait)
    thread.start()
    try:
        assert not forks.may_fork()
    finally:
        going.set()
        thread.join()


@pytest.mark.parametrize("name", forks.IMPORTED)
def test_what_is_imported_beforehand_is_there(name: str) -> None:
    importlib.import_module(name)
