"""A process with all that descend from it: its CPU, its memory, and its end by force.

Processes whose parent has died come to the bench, which then counts them as of the tree: it is their subreaper.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PR_SET_CHILD_SUBREAPER = 36
_TICKS_A_S = os.sysconf("SC_CLK_TCK")
_PSS = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Stat:
    """What /proc/PID/stat says of a process."""

    pid: int
    parent: int
    #: Of its own and of the children that it has waited for.
    ticks: int


def stat(line: str) -> Stat:
    """Read a line of /proc/PID/stat. The name, in brackets, may hold blanks and brackets itself."""
    pid, _, rest = line.partition(" (")
    fields = rest.rpartition(")")[2].split()
    return Stat(int(pid), int(fields[1]), sum(int(one) for one in fields[11:15]))


def pss_kb(rollup: str) -> int:
    """Read the proportional memory in /proc/PID/smaps_rollup; 0 where there is none, as of a process that has ended."""
    found = _PSS.search(rollup)
    return int(found[1]) if found else 0


def descendants(roots: Iterable[int], parents: Mapping[int, int]) -> list[int]:
    """List these processes and all below them, parents first."""
    children: dict[int, list[int]] = {}
    for pid, parent in parents.items():
        children.setdefault(parent, []).append(pid)
    found = [pid for pid in dict.fromkeys(roots) if pid in parents]
    for pid in found:
        found += [child for child in children.get(pid, []) if child not in found]
    return found


def become_subreaper() -> None:
    """Let processes whose parent dies become children of this one."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def stats() -> dict[int, Stat]:
    """Every process of the machine."""
    found: dict[int, Stat] = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            one = stat(place.read_text(encoding="utf-8", errors="replace"))
            found[one.pid] = one
    return found


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
        return sum(everybody[pid].ticks for pid in self._pids(everybody)) / _TICKS_A_S

    def cpu_by_part(self) -> dict[str, float]:
        """The same by part."""
        everybody, found = stats(), dict[str, float]()
        for pid in self._pids(everybody):
            part = self.part_of(_command(pid))
            found[part] = found.get(part, 0.0) + everybody[pid].ticks / _TICKS_A_S
        return found

    def pss_by_part(self) -> dict[str, float]:
        """Their proportional memory in MB, by part."""
        found: dict[str, float] = {}
        for pid in self.pids():
            with suppress(OSError):
                part = self.part_of(_command(pid))
                found[part] = found.get(part, 0.0) + pss_kb(Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")) / 1024
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


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip() or "?"
    except OSError:
        return "?"
