"""A process with all that descend from it: its CPU, its memory, and its end by force.

Processes whose parent has died come to the bench, which then counts them as of the tree: it is their subreaper.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.processes import TICKS_A_S, Stat, command_line, descendants, pss_mb, stats

_PR_SET_CHILD_SUBREAPER = 36


def become_subreaper() -> None:
    """Let processes whose parent dies become children of this one."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


@dataclass(kw_only=True)
class Tree:
    """The processes of one peer."""

    process: subprocess.Popen[bytes]
    log: Path
    #: Children of the bench that are not the peer's: servers that run apart, and what else it has started.
    others: Callable[[], set[int]]
    #: Which part of the peer a command line belongs to; by default its program's name.
    part_of: Callable[[str], str] = lambda line: Path(line.split(" ", 1)[0]).name

    def _pids(self, everybody: Mapping[int, Stat]) -> list[int]:
        own = os.getpid()
        adopted = [one.pid for one in everybody.values() if one.parent == own and one.pid not in self.others()]
        return descendants([self.process.pid, *adopted], {pid: one.parent for pid, one in everybody.items()})

    def pids(self) -> list[int]:
        """Its processes now."""
        return self._pids(stats())

    def cpu_s(self) -> float:
        """The CPU seconds of all of them so far, with those of children that have ended."""
        everybody = stats()
        return sum(everybody[pid].ticks for pid in self._pids(everybody)) / TICKS_A_S

    def cpu_by_part(self) -> dict[str, float]:
        """The same by part."""
        everybody, found = stats(), dict[str, float]()
        for pid in self._pids(everybody):
            part = self.part_of(command_line(pid))
            found[part] = found.get(part, 0.0) + everybody[pid].ticks / TICKS_A_S
        return found

    def pss_by_part(self) -> dict[str, float]:
        """Their proportional memory in MB, by part."""
        found: dict[str, float] = {}
        for pid in self.pids():
            if mb := pss_mb(pid):
                part = self.part_of(command_line(pid))
                found[part] = found.get(part, 0.0) + mb
        return found

    def last_words(self) -> str:
        """The end of its log."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-1500:]

    def is_alive(self) -> bool:
        """Whether its first process runs."""
        return self.process.poll() is None

    def kill(self) -> None:
        """End all of them at once with SIGKILL, and return when none is left."""
        end = time.monotonic() + 30
        while pids := self.pids():
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._reap(pids)
            if time.monotonic() > end:
                raise RuntimeError(f"processes {pids} do not end")

    def stop(self) -> None:
        """Ask it to end, then end what is left."""
        if self.is_alive():
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(15)
        self.kill()

    def _reap(self, pids: list[int]) -> None:
        self.process.poll()
        for pid in pids:
            if pid != self.process.pid:
                with suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
        time.sleep(0.01)


def start(command: list[str], *, env: Mapping[str, str], cwd: Path, log: Path, others: Callable[[], set[int]], **more: Any) -> Tree:
    """Start a command in a session of its own, with its output in a file."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, cwd=cwd, env=dict(env), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    return Tree(process=process, log=log, others=others, **more)
