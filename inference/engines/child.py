"""A child process: its output goes to a file, it has its own process group, and no process of that group outlives us.

Between us and the command runs a small guardian, which is this file run as a script. The kernel tells it when we end, however that happens,
and it then ends the group. An engine is several processes; if only the first died, the others would stay on the GPUs.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_PR_SET_PDEATHSIG = 1
#: How long the group may take to end after the parent's death, when nobody needs its answers any more.
_ORPHAN_GRACE_S = 3.0
_TICK_S = 0.1


@dataclass(slots=True)
class Child:
    """A running command."""

    process: subprocess.Popen[bytes]
    started: float = field(default_factory=time.monotonic)

    def alive(self) -> bool:
        """Whether it runs."""
        return self.process.poll() is None

    def code(self) -> int | None:
        """Its exit code, minus the number of the signal that ended it; None while it runs."""
        code = self.process.poll()
        return 128 - code if code is not None and code > 128 else code

    def terminate(self) -> None:
        """Ask it to end, and return at once."""
        if self.alive():
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGTERM)

    def end(self, grace_s: float) -> None:
        """Wait for it to end, then kill what is left of its group."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(max(0.0, grace_s))
        _kill_group(self.process.pid)
        self.process.wait()


def start(command: Sequence[str], *, log: Path | None, env: Mapping[str, str], cwd: Path | None = None) -> Child:
    """Start a command from the main thread; without a log its output goes where ours does. Raises OSError when it cannot be started."""
    descriptor = None if log is None else _fresh(log)
    guardian = [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]
    try:
        process = subprocess.Popen(  # noqa: S603 - the caller chooses the command
            guardian,
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            env=dict(env),
            cwd=cwd,
            # So that Ctrl-C reaches only us, and end() can kill the whole group.
            start_new_session=True,
        )
    finally:
        if descriptor is not None:
            os.close(descriptor)
    return Child(process)


def _fresh(log: Path) -> int:
    """An empty log; that of the previous start is kept next to it."""
    log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.suppress(FileNotFoundError):
        log.replace(log.with_suffix(".before.log"))
    return os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def _kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _guard(parent: int, command: Sequence[str]) -> int:
    """Run the command, pass SIGTERM on to it, and return its exit code. When the parent ends, end the whole group."""
    child: subprocess.Popen[bytes] | None = None
    ending = False

    def end(_number: int, _frame: object) -> None:
        nonlocal ending
        ending = True
        if child is not None:
            child.terminate()

    signal.signal(signal.SIGTERM, end)
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    try:
        child = subprocess.Popen(command)  # noqa: S603 - the caller chooses the command
    except OSError as error:
        sys.stderr.write(f"{command[0]} cannot be started: {error.strerror}\n")
        return 127
    if ending:
        child.terminate()
    orphaned_at: float | None = None
    while child.poll() is None:
        if orphaned_at is None and os.getppid() != parent:
            orphaned_at = time.monotonic()
            child.terminate()
        if orphaned_at is not None and time.monotonic() - orphaned_at > _ORPHAN_GRACE_S:
            break
        time.sleep(_TICK_S)
    if os.getppid() != parent:
        _kill_group(os.getpgrp())
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


if __name__ == "__main__":
    sys.exit(_guard(int(sys.argv[1]), sys.argv[2:]))
