"""What the service adds to a turn beyond the model's own time: from the webhook's first byte to the platform's receipt of the answer."""

from __future__ import annotations

import random
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for `python bench/NAME.py`

from bench import report
from tests.support import build
from tests.support.cluster import Cluster
from tests.support.processes import until
from tests.support.stack import Stack

_MODEL_S = 0.5
_AIMS_MS = {"default": {"p50": 1650.0}, "none": {"p50": 110.0}}


def measure(cluster: Cluster, *, debounce: str, turns: int, per_s: float) -> dict[str, Any]:
    """The added milliseconds of `turns` turns, each of a contact of its own, at a low rate."""
    settings = {"CHINWAG_LOG_LEVEL": "warning"}
    if debounce == "none":
        settings |= {"CHINWAG_DEBOUNCE_S": "0", "CHINWAG_DEBOUNCE_CAP_S": "0"}
    chance = random.Random(7)
    with tempfile.TemporaryDirectory(prefix="chinwag-bench-") as folder, Stack(cluster, Path(folder), settings=settings) as stack:
        stack.model.script(latency_s=_MODEL_S, answer="Begin at the Ribeira.")
        stack.start_web()
        stack.start_dispatcher()
        stack.start_worker()
        for _ in range(5):
            stack.say(build.a_person(), "warm up")
        stack.wait_settled(30)
        sent: dict[str, float] = {}
        for _ in range(turns):
            person = build.a_person()
            sent[person.number] = time.time()
            stack.say(person, "Where do I begin?")
            time.sleep(chance.uniform(0.5, 1.5) / per_s)
        entries = until(lambda: _answers(stack, sent), timeout_s=30, what="every turn was answered")
    added = [1000 * (at - sent[number] - _MODEL_S) for number, at in entries.items()]
    return {
        "debounce": debounce,
        "turns": turns,
        "p50_ms": round(report.percentile(added, 0.5), 1),
        "p99_ms": round(report.percentile(added, 0.99), 1),
    }


def _answers(stack: Stack, sent: dict[str, float]) -> dict[str, float]:
    found: dict[str, float] = {}
    for entry in stack.platform.log():
        number = str(entry.get("to") or "").lstrip("+")
        if entry["kind"] == "message" and number in sent:
            found.setdefault(number, datetime.fromisoformat(entry["at"]).timestamp())
    return found if len(found) == len(sent) else {}


def main() -> None:
    """Measure with the default debounce and with none."""
    parser = report.arguments(__doc__ or "")
    parser.add_argument("--turns", type=int, default=120)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chinwag-bench-") as folder, Cluster(Path(folder)) as cluster:
        rows = [measure(cluster, debounce=debounce, turns=given.turns, per_s=5.0) for debounce in ("default", "none")]
    report.table(rows, ["debounce", "turns", "p50_ms", "p99_ms"])
    report.keep("added_time", {"model_s": _MODEL_S, "rows": rows, "aims_ms": _AIMS_MS}, given.json)
    shown = {f"debounce: {row['debounce']}": {"p50": row["p50_ms"], "p99": row["p99_ms"]} for row in rows}
    report.bars(
        "added_time", "What the service adds to the model's own time", "ms", shown, aims={"aim with debounce": 1650, "aim without": 110}
    )


if __name__ == "__main__":
    main()
