"""A forked process is what `python -m` starts: the same program sees the same, ends the same, and can be killed and frozen."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support import forked
from tests.support.processes import Processes, until

_ENV = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "SHOWN": "wörd", "PYTHONUNBUFFERED": "1", "TZ": "Asia/Tokyo"}
_PROGRAM = """
import json, os, signal, sys, threading, time
found = {
    "name": __name__,
    "file": os.path.basename(sys.argv[0]),
    "arguments": sys.argv[1:],
    "environment": dict(os.environ),
    "folder": os.getcwd(),
    "first on the path": sys.path[0],
    "group": os.getpgid(0),
    "signals": [str(signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGHUP, signal.SIGPIPE)],
    "blocked": [*signal.pthread_sigmask(signal.SIG_BLOCK, [])],
    "files": sorted(map(int, os.listdir("/proc/self/fd")))[:4],
    "terminals": [stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)],
    "encodings": [(stream.encoding, stream.errors) for stream in (sys.stdin, sys.stdout, sys.stderr)],
    "threads": threading.active_count(),
    "zone": time.tzname,
    "known by its own name": "program" in sys.modules,
    "ours": [name for name in sys.modules if name.split(".")[0] == "tests"],
}
print(json.dumps(found))
print(sys.stdin.read(), file=sys.stderr)
sys.exit(7)
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A folder with a module that says what it sees."""
    (tmp_path / "program.py").write_text(_PROGRAM, "utf-8")
    return tmp_path


def test_a_forked_program_sees_what_a_started_one_sees(program: Path) -> None:
    command = [sys.executable, "-m", "program", "one", "--two"]
    started = subprocess.run(command, env=_ENV, cwd=program, input="typed ü".encode(), capture_output=True, check=False)
    forks = forked.run("program", "one", "--two", env=_ENV, cwd=program, stdin="typed ü".encode())

    assert (forks.returncode, forks.stderr) == (started.returncode, started.stderr) == (7, "typed ü\n".encode())
    ours, theirs = json.loads(forks.stdout), json.loads(started.stdout)
    # The fork server is a module of the tests; no process of the service asks for it.
    assert set(ours.pop("ours")) <= {"tests", "tests.support", "tests.support.fork_server"}
    assert theirs.pop("ours") == []
    assert ours == theirs


@pytest.mark.parametrize(
    ("ends", "code"), [("import sys; sys.exit('no')", 1), ("1 / 0", 1), ("import os; os.abort()", -signal.SIGABRT), ("", 0)]
)
def test_it_ends_as_a_started_one_ends(tmp_path: Path, ends: str, code: int) -> None:
    (tmp_path / "ends.py").write_text(f"import atexit; atexit.register(print, 'bye')\n{ends}\n", "utf-8")

    done = forked.run("ends", env=_ENV, cwd=tmp_path)

    assert done.returncode == code
    assert done.stdout == (b"" if code < 0 else b"bye\n")


def test_it_is_frozen_thawed_and_killed(tmp_path: Path) -> None:
    (tmp_path / "ticks.py").write_text("import time\nwhile True: print('tick', flush=True); time.sleep(0.01)\n", "utf-8")
    processes = Processes(tmp_path)
    process = processes.start("ticks", ["ticks"], {})
    until(lambda: "tick" in process.printed(), what="it runs")

    process.freeze()
    until(lambda: _state(process.pid) == "T", what="it is frozen")
    frozen = process.printed()
    time.sleep(0.1)
    assert process.printed() == frozen
    assert process.alive()
    process.thaw()
    until(lambda: process.printed() != frozen, what="it goes on")
    process.kill()

    assert (process.alive(), process.popen.returncode) == (False, -signal.SIGKILL)


def test_it_ends_with_whoever_started_it(tmp_path: Path) -> None:
    (tmp_path / "sleeps.py").write_text("import time; print('here', flush=True); time.sleep(600)\n", "utf-8")
    runs = (
        "import sys, time; from pathlib import Path; from tests.support.processes import Processes;"
        f"p = Processes(Path({str(tmp_path)!r})).start('sleeps', ['sleeps'], {{}}); print(p.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", runs], cwd=forked.ROOT, stdout=subprocess.PIPE) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        assert _state(pid)
        os.kill(starter.pid, signal.SIGKILL)

    until(lambda: not _state(pid), what="it has ended")


def _state(pid: int) -> str:
    """The letter of a process's state; nothing when there is none or it has ended."""
    try:
        letter = Path(f"/proc/{pid}/stat").read_text("utf-8").rsplit(")", 1)[1].split()[0]
    except OSError:
        return ""
    return "" if letter == "Z" else letter
