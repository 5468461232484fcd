"""Processes that a fork server starts for the tests; each is used as one of `subprocess` is."""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[2]


class Forked:
    """A process that the fork server is the parent of. It stays a zombie until it is asked how it ended, as any child does."""

    def __init__(self, server: ForkServer, pid: int, args: Sequence[str]) -> None:
        self._server, self.pid, self.args = server, pid, list(args)
        self.returncode: int | None = None
        self._asking = threading.Lock()

    def poll(self) -> int | None:
        """Its exit code, or None while it runs."""
        with self._asking:
            if self.returncode is None:
                self.returncode = self._server.ask({"pid": self.pid})
            return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises subprocess.TimeoutExpired."""
        end = None if timeout is None else time.monotonic() + timeout
        delay = 0.0005
        while (code := self.poll()) is None:
            if end is not None and time.monotonic() > end:
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
            delay = min(delay * 2, 0.02)
            time.sleep(delay)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


class ForkServer:
    """A process that has imported the service and forks."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._asking = threading.Lock()
        env = {key: value for key, value in os.environ.items() if not key.startswith("CHINWAG_")}
        with theirs:
            # It ends when our end of the socket closes, however that happens.
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.fork_server", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                cwd=ROOT,
                # Output that is not held back, as services are started; what has it imported holds on to these files.
                env=env | {"PYTHONUNBUFFERED": "1"},
                pass_fds=[theirs.fileno()],
            )

    def close(self) -> None:
        """End it, and with it whatever it started."""
        self._control.close()
        self._process.wait(10)

    def start(self, arguments: Sequence[str], *, env: Mapping[str, str], cwd: Path, stdin: int, stdout: int, stderr: int) -> Forked:
        """Start `python -m ARGUMENTS` with exactly this environment."""
        module, *rest = arguments
        request = {"module": module, "arguments": rest, "env": dict(env), "cwd": str(cwd)}
        pid = self.ask(request, [stdin, stdout, stderr])
        return Forked(self, pid, [sys.executable, "-m", *arguments])

    def ask(self, request: dict[str, Any], files: Sequence[int] = ()) -> Any:
        """Send one request and return its answer."""
        with self._asking:
            socket.send_fds(self._control, [json.dumps(request).encode()], files)
            answer = self._control.recv(4096)
        if not answer:
            raise AssertionError(f"the fork server has ended with code {self._process.wait(5)}")
        return json.loads(answer)


@functools.cache
def fork_server() -> ForkServer:
    """The one of this test process, started by whoever needs it first."""
    server = ForkServer()
    atexit.register(server.close)
    return server


def start(arguments: Sequence[str], *, env: Mapping[str, str], cwd: Path, stdout: IO[bytes], stderr: IO[bytes] | None = None) -> Forked:
    """Start `python -m ARGUMENTS` without input, its output in a file."""
    with Path(os.devnull).open("rb") as nothing:
        return fork_server().start(
            arguments, env=env, cwd=cwd, stdin=nothing.fileno(), stdout=stdout.fileno(), stderr=(stderr or stdout).fileno()
        )


def run(
    *arguments: str, env: Mapping[str, str], stdin: bytes = b"", cwd: Path = ROOT, timeout_s: float = 60.0
) -> subprocess.CompletedProcess[bytes]:
    """Run `python -m ARGUMENTS` to its end. Raises subprocess.TimeoutExpired, after which it runs no more."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(stdin)
        given.seek(0)
        process = fork_server().start(arguments, env=env, cwd=cwd, stdin=given.fileno(), stdout=out.fileno(), stderr=err.fileno())
        try:
            code = process.wait(timeout_s)
        except BaseException:
            process.kill()
            process.wait(10)
            raise
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(process.args, code, out.read(), err.read())


def said(*arguments: str, env: Mapping[str, str], stdin: str = "") -> tuple[int, str]:
    """Run `python -m ARGUMENTS` to its end; returns its code and all that it printed."""
    done = run(*arguments, env=env, stdin=stdin.encode())
    return done.returncode, done.stdout.decode() + done.stderr.decode()
