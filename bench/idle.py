"""What the house costs while nobody writes: CPU milliseconds a second and wake-ups of each part of `make run`, from /proc.

The model server is a scripted one and no part of the house; neither is the practice platform, which is shown apart.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for `python bench/NAME.py`

from bench import processes, report
from tests.support.processes import Processes

_AIM_MS_A_S = 10.0
_ROOT = Path(__file__).resolve().parent.parent
_APART = ("practice platform",)


class _Used(NamedTuple):
    """CPU milliseconds and wake-ups: so far, or a second."""

    ms: float
    wakes: float

    def plus(self, ms: float, wakes: float) -> _Used:
        return _Used(self.ms + ms, self.wakes + wakes)

    def a_second(self, before: _Used, seconds: float) -> _Used:
        return _Used((self.ms - before.ms) / seconds, (self.wakes - before.wakes) / seconds)


_NOTHING = _Used(0.0, 0.0)


def measure(tree: Path, seconds: float, settle_s: float) -> dict[str, _Used]:
    """By part, what a house that was started from a checkout uses a second."""
    with tempfile.TemporaryDirectory(prefix="chinwag-idle-") as folder:
        started, env = Processes(Path(folder), forks=False), {"PYTHONPATH": str(tree)}
        model = started.start("model", ["inference.scripted", "--port", "0"], env)
        env |= {"MODEL_URL": f"{model.wait_listening()}/v1", "MODEL_NAME": "scripted", "PORT": "0", "CHINWAG_LOCAL_DATA": f"{folder}/data"}
        house = started.start("house", ["chinwag", "run"], env)
        try:
            house.wait_ready(lambda: "/chat" in house.printed(), timeout_s=180)
            time.sleep(settle_s)
            before, began = _used(house.pid), time.monotonic()
            time.sleep(seconds)
            after, took = _used(house.pid), time.monotonic() - began
        finally:
            for process in (house, model):
                process.stop(30)
    return {part: used.a_second(before.get(part, _NOTHING), took) for part, used in after.items()}


def _used(house: int) -> dict[str, _Used]:
    """By part, what the house's processes have used so far."""
    found: dict[str, _Used] = {}
    for pid in (one.pid for one in processes.tree(house)):
        part = processes.part_of(processes.command_line(pid))
        try:
            for task in Path(f"/proc/{pid}/task").iterdir():
                ms = int((task / "schedstat").read_text().split()[0]) / 1e6
                woken = int((task / "status").read_text().split("voluntary_ctxt_switches:", 1)[1].split(maxsplit=1)[0])
                found[part] = found.get(part, _NOTHING).plus(ms, woken)
        except (FileNotFoundError, ProcessLookupError):
            continue
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
            row |= {f"{name} ms/s": round(used.get(part, _NOTHING).ms, 2), f"{name} wakes/s": round(used.get(part, _NOTHING).wakes, 1)}
        rows.append(row)
    whole = {name: round(sum(one.ms for part, one in used.items() if not part.startswith(_APART)), 2) for name, used in found.items()}
    report.table(rows, list(rows[0]))
    print("without the practice platform:", ", ".join(f"{name} {ms} ms/s" for name, ms in whole.items()))
    report.keep("idle", {"rows": rows, "whole_ms_a_s": whole, "aim_ms_a_s": _AIM_MS_A_S}, given.json)


if __name__ == "__main__":
    main()
