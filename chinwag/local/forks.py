"""Parts that are forks of this process, which has imported once what all of them run: they start in milliseconds and share that memory.

A process with more than one thread is never forked: what another thread holds would stay held in the child. Then the part is a fresh
interpreter, as every program that is not ours is.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import NoReturn

from bots import telemetry
from bots.phrases.book import book
from chinwag.local.processes import Child, open_log

#: What the parts run, without the modules that read the environment when they are imported, and without native libraries that start threads.
IMPORTED = (
    "bots.web.app",
    "uvicorn.lifespan.on",
    "uvicorn.loops.uvloop",
    "uvicorn.protocols.http.httptools_impl",
    "workers.tasks",
    "workers.dispatch",
    "celery.app.amqp",
    "celery.app.control",
    "celery.apps.worker",
    "celery.bin.celery",
    "celery.concurrency.thread",
    "celery.worker.consumer",
    "celery.worker.state",
    "celery.worker.strategy",
    "kombu.transport.redis",
    "sqlalchemy.dialects.postgresql.psycopg",
    "chinwag.cli.fake_platform",
    "inference.embed_server",
)
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PR_SET_PDEATHSIG = 1
#: How often a wait for a child's end looks for it.
_LOOK_S = 0.01
#: The fields of /proc/self/stat behind the name: where the command line begins and ends, and where the environment ends.
_ARG_START, _ARG_END, _ENV_END = 45, 46, 48


class Fork:
    """A forked process, with the part of subprocess.Popen that a child of the stack needs."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        #: Its exit code, below zero for a signal; None while nobody has seen it end.
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Look whether it has ended, and return its exit code."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return its exit code. Raises subprocess.TimeoutExpired."""
        end = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if end is not None and time.monotonic() > end:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0.0)
            time.sleep(_LOOK_S)
        return code

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it by force."""
        self.send_signal(signal.SIGKILL)


def warm_up() -> None:
    """Import what the parts run. What is broken here is broken in the part, which says so."""
    # Nearly nothing of what an import makes is garbage: looking for some takes a tenth of the time.
    gc.disable()
    # Celery's commands import it for `celery amqp repl`, with the 150 modules of an editor of lines; no part has a terminal.
    sys.modules.setdefault("click_repl", _without_terminal())
    # Web and worker read it at their start. First, since making it takes much memory for a moment, which what is imported then fills.
    book()
    for name in IMPORTED:
        with suppress(ImportError):
            importlib.import_module(name)
    gc.enable()


def may_fork() -> bool:
    """Whether this process has one thread, so that a fork of it is whole."""
    return threading.active_count() == 1 and sum(1 for _ in Path("/proc/self/task").iterdir()) == 1


def fork(
    module: str, options: Sequence[str], *, name: str, log: Path, env: Mapping[str, str], cwd: Path, keep: Collection[int] = ()
) -> Child:
    """Run a module's main() in a fork, as `python -m module options` would; it is killed when the calling thread ends, in whatever way.

    `keep` are the file descriptors that it inherits, besides its log.
    """
    descriptor = open_log(log)
    # Collected objects would be written to, and a page that is written to is shared no more.
    gc.freeze()
    # A signal in the first moments must not run the handlers of the supervisor in its child.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        parent = os.getpid()
        if (pid := os.fork()) == 0:
            _run_part(module, options, become=lambda: _become_part(descriptor, parent=parent, keep=keep, before=before), env=env, cwd=cwd)
    finally:
        os.close(descriptor)
        # Last: a signal that came meanwhile ends the supervisor right here, and with it a child that it does not know yet.
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return Child(name=name, process=Fork(pid), log=log, started=time.monotonic())


def _without_terminal() -> ModuleType:
    def register_repl(group: object, name: str = "repl") -> None:
        """Register nothing."""

    module = ModuleType("click_repl")
    module.register_repl = register_repl  # pyright: ignore[reportAttributeAccessIssue] - a module takes any
    return module


def _run_part(module: str, options: Sequence[str], *, become: Callable[[], None], env: Mapping[str, str], cwd: Path) -> NoReturn:
    """Be the part, and end with its code as soon as its main() has ended; nothing of the supervisor's stack is unwound here."""
    code: object = 1
    try:
        become()
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(env)
        time.tzset()
        sys.argv = [module, *options]
        _show([sys.executable, "-m", module, *options])
        code = importlib.import_module(_main_of(module)).main()
    except SystemExit as end:
        code = end.code
        if isinstance(code, str):
            sys.stderr.write(f"{code}\n")
    except BaseException:  # noqa: BLE001 - it ends here, and says why
        traceback.print_exc()
    finally:
        telemetry.flush()
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(code if isinstance(code, int) else int(code is not None))


def _become_part(log: int, *, parent: int, keep: Collection[int], before: Collection[int]) -> None:
    """Leave what belongs to the supervisor: its terminal, its files (its lock is one), its handlers of signals."""
    os.setsid()
    os.umask(0o077)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, source in enumerate((nothing, log, log)):
        os.dup2(source, number)
    for descriptor in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
        if descriptor > 2 and descriptor not in keep:
            with suppress(OSError):
                os.close(descriptor)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - it stays open, as the next ones do
    sys.stdout, sys.stderr = (open(number, "w", encoding="utf-8", buffering=1, closefd=False) for number in (1, 2))  # noqa: SIM115 - they stay open
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    gc.enable()


def _main_of(module: str) -> str:
    """The module whose main() is the program: `python -m` runs the `__main__` of a package."""
    spec = find_spec(module)
    return module if spec is None or spec.submodule_search_locations is None else f"{module}.__main__"


def _show(command: Sequence[str]) -> None:
    """Let `ps` show the part's own command. It is written over the one of the supervisor, where the kernel reads it.

    What does not fit runs on into the environment behind it, which nobody reads any more: os.environ has been set anew. The kernel then takes
    it for one text, so blanks separate the words.
    """
    fields = Path("/proc/self/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    start, end, last = (int(fields[n]) for n in (_ARG_START, _ARG_END, _ENV_END))
    line = b"".join(os.fsencode(word) + b"\0" for word in command)
    if start == 0 or end <= start:
        return
    if len(line) > end - start:
        line = line.rstrip(b"\0").replace(b"\0", b" ")[: last - start - 1] + b"\0"
        end = max(end, start + len(line))
    ctypes.memmove(start, line.ljust(end - start, b"\0"), end - start)
