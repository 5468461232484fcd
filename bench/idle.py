"""What the house costs while nobody writes: CPU milliseconds a second and wake-ups of each part of `make run`, from /proc.

The model server is a scripted one and no part of the house; neither is the practice platform, which is shown apart.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for `python bench/NAME.py`

from bench import report

_AIM_MS_A_S = 10.0
_ROOT = Path(__file__).resolve().parent.parent
#: What is started by `make run`, by a word of its command line; the first that fits.
_PARTS = (
    ("fake-platform", "practice platform"),
    ("embed", "embedder"),
    ("celery", "worker"),
    ("workers.dispatch", "dispatcher"),
    ("bots.web", "web"),
    ("valkey-server", "redis"),
    ("postgres", "postgres"),
    ("chinwag run", "supervisor"),
)
_APART = ("practice platform",)


def measure(tree: Path, seconds: float, settle_s: float) -> dict[str, tuple[float, float]]:
    """By part, CPU milliseconds and wake-ups a second of a house that was started from a checkout."""
    with tempfile.TemporaryDirectory(prefix="chinwag-idle-") as folder:
        env = {name: value for name, value in os.environ.items() if not name.startswith(("CHINWAG_", "MODEL"))} | {"PYTHONPATH": str(tree)}
        model = _start([sys.executable, "-m", "inference.scripted", "--port", "0"], tree, env, Path(folder) / "model.log")
        address = _said(model, Path(folder) / "model.log", "Listening on ")
        own = {"MODEL_URL": f"{address}/v1", "MODEL_NAME": "scripted", "PORT": "0", "CHINWAG_LOCAL_DATA": f"{folder}/data"}
        house = _start([sys.executable, "-m", "chinwag", "run"], tree, env | own, Path(folder) / "house.log")
        try:
            _said(house, Path(folder) / "house.log", "/chat")
            time.sleep(settle_s)
            before, began = _used(house.pid), time.monotonic()
            time.sleep(seconds)
            after, took = _used(house.pid), time.monotonic() - began
        finally:
            for process in (house, model):
                process.send_signal(signal.SIGTERM)
                process.wait(30)
    return {name: tuple((after[name][n] - before.get(name, (0.0, 0.0))[n]) / took for n in (0, 1)) for name in after}  # type: ignore[misc]


def _start(command: list[str], tree: Path, env: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as file:
        return subprocess.Popen(command, cwd=tree, env=env, stdout=file, stderr=subprocess.STDOUT)


def _said(process: subprocess.Popen[bytes], log: Path, sign: str) -> str:
    """Wait until a process has printed something, and return the word behind it, or with it."""
    end = time.monotonic() + 180
    while sign not in log.read_text(errors="replace"):
        if process.poll() is not None or time.monotonic() > end:
            raise SystemExit(f"{' '.join(map(str, process.args))} did not start:\n{log.read_text(errors='replace')[-2000:]}")  # type: ignore[arg-type]
        time.sleep(0.1)
    return log.read_text(errors="replace").split(sign, 1)[1].split(maxsplit=1)[0]


def _used(house: int) -> dict[str, tuple[float, float]]:
    """By part, the CPU milliseconds and the voluntary switches of the house's processes so far."""
    found: dict[str, tuple[float, float]] = defaultdict(lambda: (0.0, 0.0))
    for pid in _family(house):
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            for task in Path(f"/proc/{pid}/task").iterdir():
                ms = int((task / "schedstat").read_text().split()[0]) / 1e6
                status = (task / "status").read_text()
                woken = int(status.split("voluntary_ctxt_switches:", 1)[1].split(maxsplit=1)[0])
                name = _part(line)
                found[name] = (found[name][0] + ms, found[name][1] + woken)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return dict(found)


def _part(line: str) -> str:
    if line.startswith("postgres: "):
        # Behind the name of the cluster stands the role of a connection, or what else the process is for.
        words = line.split(": ", 2)[-1].split()
        return f"postgres {words[0]}" if words else "postgres"
    return next((part for word, part in _PARTS if word in line), line[:30])


def _family(root: int) -> list[int]:
    children: dict[int, list[int]] = defaultdict(list)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        children[int(fields[1])].append(int(stat.parent.name))
    found = [root]
    for pid in found:
        found += children[pid]
    return found


def main() -> None:
    """Measure this checkout, and another one beside it where its folder is given."""
    parser = report.arguments(__doc__ or "")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--settle", type=float, default=20.0, help="seconds between the start and the measurement")
    parser.add_argument("--against", type=Path, help="the folder of another checkout")
    given = parser.parse_args()
    trees = {"here": _ROOT} | ({"there": given.against.resolve()} if given.against else {})
    found = {name: measure(tree, given.seconds, given.settle) for name, tree in trees.items()}
    rows: list[dict[str, Any]] = []
    for part in sorted({part for used in found.values() for part in used}):
        row: dict[str, Any] = {"part": part}
        for name, used in found.items():
            row |= {f"{name} ms/s": round(used.get(part, (0.0, 0.0))[0], 2), f"{name} wakes/s": round(used.get(part, (0.0, 0.0))[1], 1)}
        rows.append(row)
    whole = {name: round(sum(ms for part, (ms, _) in used.items() if not part.startswith(_APART)), 2) for name, used in found.items()}
    report.table(rows, list(rows[0]))
    print("without the practice platform:", ", ".join(f"{name} {ms} ms/s" for name, ms in whole.items()))
    report.keep("idle", {"rows": rows, "whole_ms_a_s": whole, "aim_ms_a_s": _AIM_MS_A_S}, given.json)


if __name__ == "__main__":
    main()
