"""Child processes of the stack. None outlives its parent: each asks the kernel for a signal when the thread that started it ends."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

Mode = Literal["plain", "namespace", "setuid"]

_UNROOT = Path(__file__).with_name("unroot.py")
#: A log larger than this is emptied at the next start.
_LOG_BYTES = 4 * 1024 * 1024
#: sun_path holds 108 bytes; Postgres adds "/.s.PGSQL.5432.lock".
_SOCKET_FOLDER_BYTES = 80


class CannotStart(Exception):
    """A part cannot be started; the message is one line that says what to do."""


class Process(Protocol):
    """What the stack does with a process of its own, however it was started: a part of subprocess.Popen."""

    @property
    def pid(self) -> int:
        """Its process id."""
        ...

    @property
    def returncode(self) -> int | None:
        """Its exit code; None while it runs."""
        ...

    def poll(self) -> int | None:
        """Look whether it has ended, and return its exit code."""
        ...

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return its exit code. Raises subprocess.TimeoutExpired."""
        ...

    def send_signal(self, sig: int, /) -> None:
        """Send it a signal, unless it has ended."""
        ...

    def kill(self) -> None:
        """End it by force."""
        ...


@dataclass(slots=True, kw_only=True)
class Child:
    """A running part."""

    name: str
    process: Process
    log: Path
    #: The signal that asks it to end cleanly.
    stop_signal: signal.Signals = signal.SIGTERM
    started: float = 0.0

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def is_alive(self) -> bool:
        """Whether it is still running."""
        return self.process.poll() is None

    def ask_to_stop(self) -> None:
        """Send the stop signal and return at once."""
        if self.is_alive():
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(self.stop_signal)

    def stop(self, *, grace_s: float = 5.0) -> None:
        """End it: with its stop signal, then by force."""
        self.ask_to_stop()
        self.end(grace_s=grace_s)

    def end(self, *, grace_s: float) -> None:
        """Wait for it to end, then kill it and what is left of its process group."""
        try:
            self.process.wait(max(0.0, grace_s))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def last_words(self) -> str:
        """The last line of its log that is not empty."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, self.log.stat().st_size - 4096))
                lines = file.read().decode(errors="replace").splitlines()
        except OSError:
            return ""
        return next((line.strip() for line in reversed(lines) if line.strip()), "")


def start(
    command: Sequence[str],
    *,
    name: str,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    mode: Mode = "plain",
    stop_signal: signal.Signals = signal.SIGTERM,
    death_signal: signal.Signals = signal.SIGKILL,
    keep: Collection[int] = (),
) -> Child:
    """Start a command whose output goes to a log; it gets the death signal when the calling thread ends, in whatever way.

    `keep` are the file descriptors that it inherits, besides its log.
    """
    full = _through_unroot(command, mode=mode, death_signal=death_signal)
    descriptor = open_log(log)
    try:
        process = subprocess.Popen(  # noqa: S603 - the command is ours
            full,
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            env=None if env is None else dict(env),
            cwd=cwd,
            pass_fds=tuple(keep),
            # Ctrl-C reaches the supervisor alone, which then stops the parts in order.
            start_new_session=True,
        )
    finally:
        os.close(descriptor)
    return Child(name=name, process=process, log=log, stop_signal=stop_signal, started=time.monotonic())


def open_log(log: Path) -> int:
    """Open a log to write to its end, made or emptied if need be; returns the file descriptor."""
    log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    size = log.stat().st_size if log.exists() else 0
    return os.open(log, os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if size > _LOG_BYTES else os.O_APPEND), 0o600)


def run(command: Sequence[str], *, mode: Mode = "plain", timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
    """Run a short command to its end, in the same way as `start`, and return its output."""
    full = _through_unroot(command, mode=mode, death_signal=signal.SIGKILL)
    return subprocess.run(  # noqa: S603 - the command is ours
        full,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout_s,
        check=False,
        start_new_session=True,
    )


def wait_until(ready: Callable[[], bool], *, child: Child, deadline_s: float, every_s: float = 0.02) -> None:
    """Wait until the child is ready. Raises CannotStart when it ends or the time since its start is over."""
    while not is_ready(ready, child=child, deadline_s=deadline_s):
        time.sleep(every_s)


def is_ready(ready: Callable[[], bool], *, child: Child, deadline_s: float) -> bool:
    """Whether the child is ready. Raises CannotStart when it has ended, or is not ready so long after its start."""
    if ready():
        return True
    if not child.is_alive():
        raise CannotStart(f"{child.name} ended with code {child.process.returncode}: {child.last_words()} (log: {child.log})")
    if time.monotonic() > child.started + deadline_s:
        raise CannotStart(f"{child.name} was not ready after {deadline_s:.0f} s (log: {child.log})")
    return False


def socket_folder(owner: Path) -> Path:
    """A folder of mode 0700 with a short path for the sockets of the data in `owner`, however long the owner's own path is."""
    digest = hashlib.sha256(os.fsencode(owner.resolve())).hexdigest()[:16]
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")  # the one place where a user's sockets belong, if the system has it
    usable = runtime.startswith("/") and len(os.fsencode(runtime)) <= _SOCKET_FOLDER_BYTES - 25 and os.access(runtime, os.W_OK | os.X_OK)
    base = Path(runtime) if usable else Path("/tmp")  # noqa: S108 - the folder below is ours alone, or refused
    folder = base / f"chinwag-{os.geteuid()}-{digest}"[: _SOCKET_FOLDER_BYTES - len(str(base))]
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    facts = folder.lstat()
    if folder.is_symlink() or not folder.is_dir() or facts.st_mode & 0o077 or (os.geteuid() != 0 and facts.st_uid != os.geteuid()):
        raise CannotStart(f"{folder} must be a folder that only you can enter (mode 0700): remove it and start again")
    return folder


def _through_unroot(command: Sequence[str], *, mode: Mode, death_signal: signal.Signals) -> list[str]:
    return [sys.executable, "-I", "-S", str(_UNROOT), mode, str(int(death_signal)), str(os.getpid()), "--", *command]
