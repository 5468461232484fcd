"""Real processes of the service, started with the contract's own commands and ended by their ids.

A child dies with the test run. What it prints goes to a file, which the invariants read for leaks (I8).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tests.support import forked
from tests.support.forked import ROOT, Forked

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)
_LISTENING = re.compile(r"Listening on (http://\S+)")

T = TypeVar("T")


class NotReady(AssertionError):
    """A process did not become ready, or ended before it was."""


def until(ask: Callable[[], T], *, timeout_s: float = 15.0, what: str = "the condition", every_s: float = 0.03) -> T:
    """Ask until the answer is true, and return it. Raises AssertionError when the time is over."""
    end = time.monotonic() + timeout_s
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() >= end:
            raise AssertionError(f"{what} did not come true within {timeout_s} s; last answer: {answer!r}")
        time.sleep(every_s)


def die_with_parent() -> None:
    """End this process when its parent ends; for a child, after the fork."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)


@dataclass
class Process:
    """One running process and the file with all that it printed."""

    name: str
    popen: subprocess.Popen[bytes] | Forked
    output: Path
    #: Where it listens, once it has said so.
    url: str = ""

    @property
    def pid(self) -> int:
        return self.popen.pid

    def alive(self) -> bool:
        """Whether it still runs."""
        return self.popen.poll() is None

    def printed(self) -> str:
        """All that it printed so far."""
        return self.output.read_text(errors="replace")

    def kill(self) -> None:
        """End it as a crash would: SIGKILL, at once."""
        self._signal(signal.SIGKILL)
        self.popen.wait(10)

    def freeze(self) -> None:
        """Stop it in its tracks (SIGSTOP)."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen process go on (SIGCONT)."""
        self._signal(signal.SIGCONT)

    def stop(self, grace_s: float = 8.0) -> int:
        """End it in order (SIGTERM), by force when the grace is over; returns its exit code."""
        self._signal(signal.SIGCONT)
        self._signal(signal.SIGTERM)
        try:
            return self.popen.wait(grace_s)
        except subprocess.TimeoutExpired:
            self.kill()
            return self.popen.returncode

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.popen.send_signal(number)

    def wait_ready(self, ready: Callable[[], bool], timeout_s: float = 20.0) -> None:
        """Poll until it is ready. Raises NotReady with the end of its output."""
        end = time.monotonic() + timeout_s
        while not ready():
            if not self.alive() or time.monotonic() > end:
                state = "is not ready in time" if self.alive() else f"ended with code {self.popen.returncode}"
                raise NotReady(f"{self.name} {state}:\n{self.printed()[-3000:]}")
            time.sleep(0.03)

    def wait_listening(self, timeout_s: float = 20.0) -> str:
        """Wait for its line `Listening on URL` and return the address."""

        def said() -> bool:
            found = _LISTENING.search(self.printed())
            self.url = found[1].rstrip("/") if found else ""
            return bool(found)

        self.wait_ready(said, timeout_s)
        return self.url


def a_clean_environment() -> dict[str, str]:
    """The caller's environment without its CHINWAG_* variables; what a process prints is not held back."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("CHINWAG_")}
    return kept | {"PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT)}


class Processes:
    """Starts processes in a folder of their own and ends all of them."""

    def __init__(self, folder: Path, *, forks: bool = True) -> None:
        """`forks=False` starts each by its command, as an operator does: for measurements."""
        self.folder, self._forks = folder, forks
        self.all: list[Process] = []

    def start(self, name: str, arguments: Sequence[str], env: Mapping[str, str]) -> Process:
        """Start what `python -m ARGUMENTS` starts, with these CHINWAG_* variables and none of the caller's."""
        if not self._forks:
            return self.start_command(name, [sys.executable, "-m", *arguments], env)
        output = self._output(name)
        with output.open("wb") as file:
            return self._started(name, forked.start(arguments, env=a_clean_environment() | dict(env), cwd=self.folder, stdout=file), output)

    def start_command(self, name: str, command: Sequence[str], env: Mapping[str, str]) -> Process:
        """Start any command like that, by the command itself."""
        output = self._output(name)
        with output.open("wb") as file:
            popen = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=a_clean_environment() | dict(env),
                cwd=self.folder,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call, made after the fork
            )
        return self._started(name, popen, output)

    def _output(self, name: str) -> Path:
        return self.folder / f"{len(self.all):02d}-{name}.log"

    def _started(self, name: str, popen: subprocess.Popen[bytes] | Forked, output: Path) -> Process:
        process = Process(name, popen, output)
        self.all.append(process)
        return process

    def run(self, name: str, arguments: Sequence[str], env: Mapping[str, str], *, timeout_s: float = 60.0) -> str:
        """Run one to its end and return what it printed. Raises NotReady unless it ends well."""
        process = self.start(name, arguments, env)
        code = process.popen.wait(timeout_s)
        if code != 0:
            raise NotReady(f"{name} ended with code {code}:\n{process.printed()[-3000:]}")
        return process.printed()

    def end_all(self) -> None:
        """Kill whatever still runs; a test that cares about an orderly end calls stop itself."""
        for process in reversed(self.all):
            if process.alive():
                process.kill()
