"""Replies a second of a GPU worker whose engine works on 16 requests at once, while more people wait than that; the ideal keeps all 16 busy.

The engine is the scripted one, which takes 1.0 s for an answer; the platform takes 0.3 s to accept one. `--against FOLDER` measures another checkout, too.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for `python bench/NAME.py`

from bench import report
from bench.in_flight import AS_SHIPPED, fill
from tests.faults.test_gpu_worker import Gpu
from tests.support.cluster import Cluster
from tests.support.fakes import Model
from tests.support.stack import Stack

_SLOTS, _ANSWER_S, _ACCEPTS_MS = 16, 1.0, 300.0
_WARM_S, _SECONDS, _PEOPLE = 6.0, 12.0, 420
_ANSWERED = "select count(*) from turns where state = 'answered'"


def measure() -> float:
    """Return the replies a second of this checkout."""
    settings = AS_SHIPPED | {"CHINWAG_LOG_LEVEL": "warning", "CHINWAG_WORKER_SLOTS": str(_SLOTS)}
    with tempfile.TemporaryDirectory(prefix="chinwag-bench-") as folder, Cluster(Path(folder)) as cluster:
        work = Path(folder) / "stack"
        work.mkdir()
        with Stack(cluster, work, settings=settings) as stack:
            stack.register_number(batch_ms=500.0, latency_ms=_ACCEPTS_MS)
            stack.start_dispatcher()
            worker = Gpu(stack, "one", slots=_SLOTS, token_s=30).wait()
            with closing(Model(worker.url)) as model:
                model.script(latency_s=_ANSWER_S)
                fill(stack, _PEOPLE)
                time.sleep(_WARM_S)
                before, began = stack.one(_ANSWERED), time.monotonic()
                time.sleep(_SECONDS)
                found = (stack.one(_ANSWERED) - before) / (time.monotonic() - began)
            worker.process.stop(20)
    return round(found, 2)


def main() -> None:
    """Measure, and write the result."""
    parser = report.arguments(__doc__ or "")
    parser.add_argument("--against", type=Path, help="another checkout that has this file")
    given = parser.parse_args()
    row = {"slots": _SLOTS, "ideal": _SLOTS / _ANSWER_S, "replies_per_s": measure()}
    if given.against:
        command = [sys.executable, "-c", "from bench.engine_slots import measure; print(measure())"]
        said = subprocess.run(command, cwd=given.against, env={"PYTHONPATH": "."}, capture_output=True, text=True, check=True)
        row["against_replies_per_s"] = float(said.stdout.split()[-1])
    report.table([row], list(row))
    report.keep("engine_slots", {"rows": [row]}, given.json)


if __name__ == "__main__":
    main()
