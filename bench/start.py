"""`make run` with everything installed: seconds from the command to the first answered GET of the chat page and to each part, and memory by process.

`--against REV` starts another revision in turn with this one. Each has a clone and an environment of its own; the first start, which makes the
database, is not counted.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for `python bench/NAME.py`

from bench import report

ROOT = Path(__file__).resolve().parent.parent
_AIM_S, _AIM_MB = 6.0, 250.0
_LONGEST_S = 120.0
#: Until the worker has read its languages.
_SETTLE_S = 10.0
#: A part that is ready: its name, how, and the seconds since it was started.
_READY = re.compile(r"^(Environment|Postgres|Redis|Migrations|Web|Dispatcher|Worker|Practice|Embeddings|Chat model) .* s$")
_LAST = re.compile(r" answers[.:]")
_REQUEST = b"GET /chat HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n"
#: Parts by what their command lines hold.
_PROCESSES = {
    "model": "inference.engines.llamacpp",
    "worker": "celery",
    "web": "bots.web",
    "dispatcher": "workers.dispatch",
    "embedder": "inference.embed_server",
    "practice platform": "fake-platform",
    "Postgres": "postgres",
    "Redis": "valkey",
    "supervisor": "chinwag run",
}


@dataclass
class _Start:
    """One start."""

    page_s: float
    #: By part, the seconds from the command to its line.
    parts_s: dict[str, float] = field(default_factory=dict[str, float])
    #: By process, proportional memory.
    memory_mb: dict[str, float] = field(default_factory=dict[str, float])
    cpu_s: float = 0.0


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def _is_page_there(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(_REQUEST)
            return connection.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def _tree(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            children.setdefault(int((entry / "stat").read_text().rpartition(")")[2].split()[1]), []).append(int(entry.name))
    found, left = list[int](), [root]
    while left:
        found.append(left.pop())
        left += children.get(found[-1], [])
    return found


def _memory(root: int) -> tuple[dict[str, float], float]:
    """Proportional memory by kind of process, in MB, and the CPU seconds of them all but the model."""
    memory, ticks = dict[str, float](), 0
    for pid in _tree(root):
        with contextlib.suppress(OSError):
            line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            name = next((name for name, words in _PROCESSES.items() if words in line), "make")
            pss = re.search(r"^Pss: +(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
            memory[name] = memory.get(name, 0.0) + (int(pss[1]) / 1024 if pss else 0.0)
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12]) if name != "model" else 0
    return memory, ticks / os.sysconf("SC_CLK_TCK")


def start(clone: Path, model: str, log: Path) -> _Start:
    """Start the stack of a clone, look at it, and stop it."""
    port = _free_port()
    began = time.monotonic()
    with log.open("wb") as output:
        command = ["make", "run", f"PORT={port}", f"MODEL={model}"]
        run = subprocess.Popen(command, cwd=clone, env=_env(), stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
    try:
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
                raise SystemExit(f"make run did not get ready:\n{log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.01)
        time.sleep(_SETTLE_S)
        found.memory_mb, found.cpu_s = _memory(run.pid)
        return found
    finally:
        with contextlib.suppress(ProcessLookupError):
            run.send_signal(signal.SIGTERM)
        try:
            run.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)


@contextmanager
def clone_of(revision: str) -> Generator[Path]:
    """A clone at a revision, with its environment."""
    with tempfile.TemporaryDirectory(prefix="chinwag-bench-") as folder:
        clone = Path(folder) / "chinwag"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        subprocess.run(["git", "checkout", "--quiet", "--detach", revision], cwd=clone, check=True)
        subprocess.run(["make", "install"], cwd=clone, env=_env(), check=True, stdout=subprocess.DEVNULL)
        yield clone


def _env() -> dict[str, str]:
    ours = ("CHINWAG_", "VIRTUAL_ENV", "MAKE", "MFLAGS", "PYTHONPATH", "MODEL", "DATABASE_URL", "REDIS_URL", "PORT")
    # Without the better model, which would be fetched meanwhile.
    return {key: value for key, value in os.environ.items() if not key.startswith(ours)} | {"CHINWAG_LOCAL_FETCH": "no"}


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
