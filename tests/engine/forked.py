"""Processes of the engine's Python, forked off one that has imported vLLM already (fork_server.py)."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

#: vLLM's import takes 8 s of a core, and both may be busy.
_IMPORT_S = 300.0


class ForkServer:
    """The process that forks off the others. They all end with the block."""

    def __init__(self, venv: Path, env: Mapping[str, str], folder: Path) -> None:
        self._venv, self._env, self._folder = venv, env, folder

    def __enter__(self) -> Self:
        self._socket, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with (self._folder / "fork_server.log").open("wb") as log:
            self._popen = subprocess.Popen(
                [str(self._venv / "bin" / "python"), str(Path(__file__).with_name("fork_server.py")), str(its.fileno())],
                env=dict(self._env) | {"LD_PRELOAD": _preloaded(self._venv)},
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[its.fileno()],
            )
        its.close()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._socket.close()
        self._popen.kill()
        self._popen.wait(10)

    def run(self, code: str) -> str:
        """Run a piece of code in a child of its own, and return the last line that it printed."""
        read, write = os.pipe()
        self._ask({"code": code}, write)
        os.close(write)
        with os.fdopen(read, encoding="utf-8") as answer:
            said = answer.read()
        assert said, "its process ended without an answer:\n" + (self._folder / "fork_server.log").read_text(errors="replace")[-3000:]
        ended_well, printed = json.loads(said)
        assert ended_well, printed

        return printed.strip().splitlines()[-1]

    def serve(self, arguments: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: BinaryIO) -> Forked:
        """What `vllm serve` with these arguments would be, as the first of a session of its own."""
        read, write = os.pipe()
        self._ask({"serve": list(arguments), "env": dict(env), "cwd": str(cwd)}, log.fileno(), write)
        os.close(write)
        return Forked(read)

    def _ask(self, question: Mapping[str, Any], *files: int) -> None:
        socket.send_fds(self._socket, [json.dumps(question).encode()], list(files))


class Forked:
    """A process that was forked off; what a test asks of subprocess.Popen."""

    def __init__(self, told: int) -> None:
        """The file tells the id of the process at once, and its exit code in the end."""
        self._told, self._said = told, b""
        self.returncode: int | None = None
        self._read(_IMPORT_S, lines=1)
        self.pid = int(self._said.split(b"\n")[0])

    def poll(self) -> int | None:
        """Its exit code, minus the signal's number where one ended it; None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float) -> int:
        """Wait for its end, and return its exit code. Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            self._read(timeout, lines=2)
            os.close(self._told)
            lines = self._said.split(b"\n")
            # Without a code its watcher was killed, and took it along.
            self.returncode = int(lines[1]) if len(lines) > 2 else -signal.SIGKILL
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def _read(self, timeout: float, *, lines: int) -> None:
        end = time.monotonic() + timeout
        while self._said.count(b"\n") < lines:
            if not select.select([self._told], [], [], max(0.0, end - time.monotonic()))[0]:
                raise subprocess.TimeoutExpired("vllm serve", timeout)
            if not (said := os.read(self._told, 64)):
                return
            self._said += said


def _preloaded(venv: Path) -> str:
    """What vLLM has its ranks load before all else: the allocator that some builds bring, and torch's OpenMP, without which there are two."""
    packages = next((venv / "lib").glob("python3.*/site-packages"))
    wanted = ("vllm/libs/libtcmalloc*.so*", "torch.libs/libgomp*.so*", "torch/lib/libgomp*.so*")
    return ":".join(str(found[0]) for found in (sorted(packages.glob(name)) for name in wanted) if found)
