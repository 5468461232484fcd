"""`make run` with everything installed: seconds from the command to the first answered GET of the chat page and to each part, and memory by process.

`--against REV` starts another revision in turn with this one. Each has a clone and an environment of its own; the first start, which makes the
database, is not counted.
"""

from __future__ import annotations

import contextlib
import re
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for `python bench/NAME.py`

from bench import clone, processes, report
from chinwag.local.ports import free_port

_AIM_S, _AIM_MB = 6.0, 250.0
_LONGEST_S = 120.0
#: A part that is ready: its name, how, and the seconds since it was started.
_READY = re.compile(r"^(Environment|Postgres|Redis|Migrations|Web|Dispatcher|Worker|Practice|Embeddings|Chat model) .* s$")
_LAST = re.compile(r" answers[.:]")
_REQUEST = b"GET /chat HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n"


@dataclass
class _Start:
    """One start."""

    page_s: float
    #: By part, the seconds from the command to its line.
    parts_s: dict[str, float] = field(default_factory=dict[str, float])
    #: By process, proportional memory.
    memory_mb: dict[str, float] = field(default_factory=dict[str, float])
    cpu_s: float = 0.0


def _is_page_there(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(_REQUEST)
            return connection.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def _memory(root: int) -> dict[str, float]:
    """Proportional memory by part, in MB."""
    memory = dict[str, float]()
    for one in processes.tree(root):
        part = _part_of(one.pid)
        memory[part] = memory.get(part, 0.0) + processes.pss_mb(one.pid)
    return memory


def _cpu_s(root: int) -> float:
    """CPU seconds of all but the model."""
    return sum(one.own_ticks for one in processes.tree(root) if _part_of(one.pid) != "model") / processes.TICKS_A_S


def _part_of(pid: int) -> str:
    """The part that a process belongs to, with all of Postgres in one."""
    return processes.part_of(processes.command_line(pid)).partition(":")[0]


def start(place: Path, model: str, log: Path) -> _Start:
    """Start the stack of a clone, look at it, and stop it."""
    port, began = free_port(), time.monotonic()
    with clone.running(place, log, f"PORT={port}", f"MODEL={model}") as run:
        found, told = _Start(page_s=0.0), 0
        while True:
            since = time.monotonic() - began
            if not found.page_s and _is_page_there(port):
                found.page_s = time.monotonic() - began
            lines = log.read_text(errors="replace").split("\n")[:-1]
            for line in lines[told:]:
                if ready := _READY.match(line):
                    found.parts_s[ready[1]] = since
            told = len(lines)
            if found.page_s and any(_LAST.search(line) for line in lines):
                break
            if run.poll() is not None or since > _LONGEST_S:
                raise clone.not_ready(log)
            time.sleep(0.01)
        # The worker still reads its languages.
        processes.wait_quiet(partial(_cpu_s, run.pid))
        found.memory_mb, found.cpu_s = _memory(run.pid), _cpu_s(run.pid)
        return found


@contextmanager
def clone_of(revision: str) -> Generator[Path]:
    """A clone at a revision, with its environment."""
    with tempfile.TemporaryDirectory(prefix="chinwag-bench-") as folder:
        place = Path(folder) / "chinwag"
        clone.make(place, revision)
        clone.install(place)
        yield place


def row(name: str, starts: list[_Start]) -> dict[str, Any]:
    """The medians of some starts."""
    memory = {kind: statistics.median(one.memory_mb.get(kind, 0.0) for one in starts) for kind in starts[0].memory_mb}
    return {
        "revision": name,
        "page_s": round(statistics.median(one.page_s for one in starts), 2),
        "from_s": round(min(one.page_s for one in starts), 2),
        "to_s": round(max(one.page_s for one in starts), 2),
        "cpu_s": round(statistics.median(one.cpu_s for one in starts), 2),
        "memory_mb": round(sum(mb for kind, mb in memory.items() if kind != "model"), 1),
        "parts_s": {part: round(statistics.median(one.parts_s.get(part, 0.0) for one in starts), 2) for part in starts[0].parts_s},
        "by_process_mb": {kind: round(mb, 1) for kind, mb in memory.items()},
    }


def main() -> None:
    """Measure, and write the result and the pictures."""
    parser = report.arguments(__doc__ or "")
    parser.add_argument("--model", default="tiny", help="as MODEL= of make run")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--against", metavar="REV", help="another revision of this repository")
    given = parser.parse_args()
    revisions = [*([given.against] if given.against else []), "HEAD"]
    with contextlib.ExitStack() as stack:
        clones = {revision: stack.enter_context(clone_of(revision)) for revision in revisions}
        starts: dict[str, list[_Start]] = {revision: [] for revision in revisions}
        for n in range(given.rounds + 1):
            for revision in revisions if n % 2 else reversed(revisions):
                found = start(clones[revision], given.model, clones[revision].parent / "run.log")
                print(f"{'first' if n == 0 else f'round {n}'} {revision}: page {found.page_s:.2f} s", flush=True)
                starts[revision] += [found] if n else []
    rows = [row(revision, found) for revision, found in starts.items()]
    report.table(rows, ["revision", "page_s", "from_s", "to_s", "cpu_s", "memory_mb"])
    for one in rows:
        print(f"{one['revision']}: ready after (s) {one['parts_s']}; memory (MB) {one['by_process_mb']}")
    report.keep("start", {"model": given.model, "rows": rows, "aim_s": _AIM_S, "aim_mb": _AIM_MB}, given.json)
    shown = {
        f"{one['revision'] + ': ' if given.against else ''}{part}": at
        for one in rows
        for part, at in {**one["parts_s"], "chat page": one["page_s"]}.items()
    }
    report.lying_bars("start", "make run: seconds from the command until each part is ready", "s", shown)
    kinds = list(dict.fromkeys(kind for one in rows for kind in one["by_process_mb"] if kind not in {"model", "make"}))
    report.bars(
        "start_memory",
        "make run: proportional memory by process, without the model",
        "MB",
        {kind: {one["revision"]: one["by_process_mb"].get(kind, 0.0) for one in rows} for kind in kinds},
    )


if __name__ == "__main__":
    main()
