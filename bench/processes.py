"""What /proc says of processes: who belongs to a tree, their CPU and memory, and which part of the service each one is."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

TICKS_A_S = os.sysconf("SC_CLK_TCK")
_PSS = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)
#: Parts of the service by a word of their command lines; the first that fits.
_PARTS = (
    ("fake-platform", "practice platform"),
    ("embed_server", "embedder"),
    ("inference.engines.llamacpp", "model"),
    ("celery", "worker"),
    ("workers.dispatch", "dispatcher"),
    ("bots.web", "web"),
    ("valkey-server", "Redis"),
    ("/postgres ", "Postgres"),
    ("chinwag run", "supervisor"),
)
#: A tree is quiet when it takes no more than this share of a core.
_QUIET = 0.05


@dataclass(frozen=True, slots=True)
class Stat:
    """What /proc/PID/stat says of a process."""

    pid: int
    parent: int
    #: Of CPU.
    own_ticks: int
    #: With those of the children that it has waited for.
    ticks: int


def stat(line: str) -> Stat:
    """Read a line of /proc/PID/stat. The name, in brackets, may hold blanks and brackets itself."""
    pid, _, rest = line.partition(" (")
    fields = rest.rpartition(")")[2].split()
    spent = [int(one) for one in fields[11:15]]
    return Stat(int(pid), int(fields[1]), sum(spent[:2]), sum(spent))


def stats() -> dict[int, Stat]:
    """Every process of the machine."""
    found: dict[int, Stat] = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            one = stat(place.read_text(encoding="utf-8", errors="replace"))
            found[one.pid] = one
    return found


def descendants(roots: Iterable[int], parents: Mapping[int, int]) -> list[int]:
    """List these processes and all below them, parents first."""
    children: dict[int, list[int]] = {}
    for pid, parent in parents.items():
        children.setdefault(parent, []).append(pid)
    found = [pid for pid in dict.fromkeys(roots) if pid in parents]
    for pid in found:
        found += [child for child in children.get(pid, []) if child not in found]
    return found


def tree(root: int) -> list[Stat]:
    """A process and all below it, now."""
    everybody = stats()
    return [everybody[pid] for pid in descendants([root], {pid: one.parent for pid, one in everybody.items()})]


def pss_kb(rollup: str) -> int:
    """Read the proportional memory in /proc/PID/smaps_rollup; 0 where there is none, as of a process that has ended."""
    found = _PSS.search(rollup)
    return int(found[1]) if found else 0


def pss_mb(pid: int) -> float:
    """The proportional memory of a process; 0 once it has ended."""
    try:
        return pss_kb(Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")) / 1024
    except OSError:
        return 0.0


def resident_mb(*pids: int) -> float:
    """The memory that processes have in use, shared pages counted in each. Raises OSError for one that has ended."""
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) for pid in pids)
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)


def command_line(pid: int) -> str:
    """What a process was started as, or calls itself; "?" once it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip() or "?"
    except OSError:
        return "?"


def part_of(line: str) -> str:
    """Which part of the service a command line belongs to, else its program; of Postgres, whose connection it is, or what else it is for."""
    if line.startswith("postgres: "):
        words = line.rpartition(": ")[2].split()
        return f"Postgres: {words[0].removeprefix('chinwag_')}" if words else "Postgres"
    return next((part for word, part in _PARTS if word in line), Path(line.split(" ", 1)[0]).name)


def wait_quiet(cpu_s: Callable[[], float], *, at_most_s: float = 60.0, look_s: float = 1.0) -> None:
    """Wait until next to nothing is computed between three looks, by a clock of CPU seconds, or until the time is over."""
    end, quiet, before = time.monotonic() + at_most_s, 0, cpu_s()
    while quiet < 2 and time.monotonic() < end:
        time.sleep(look_s)
        now = cpu_s()
        quiet, before = quiet + 1 if now - before <= _QUIET * look_s else 0, now
