"""What the service adds to a turn beyond the model's own time: from the webhook's first byte to the platform's receipt of the answer.

One row is of messages of all kinds, as they come in, of people who have been quiet (tests/corpus/pieces/lone.toml), with the waits that the service ships
with; the others are of one whole question, with these waits and with none.
"""

from __future__ import annotations

import itertools
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for `python bench/NAME.py`

from bench import answers, report
from tests.support import build
from tests.support.cluster import Cluster
from tests.support.people import LONE

_MODEL_S = 0.5
_AIM_MS = {"p50": 150.0}
_QUESTION = ("Where do I begin?",)


def measure(cluster: Cluster, *, said: Sequence[str], waits: str, turns: int, per_s: float) -> dict[str, Any]:
    """The added milliseconds of `turns` turns, each of a contact of its own, at a low rate."""
    settings = {"CHINWAG_LOG_LEVEL": "warning"}
    if waits == "none":
        settings |= {"CHINWAG_DEBOUNCE_S": "0", "CHINWAG_DEBOUNCE_CAP_S": "0"}
    chance, words = random.Random(7), itertools.cycle(said)
    with answers.service(cluster, settings, model_s=_MODEL_S) as stack:
        sent: dict[str, float] = {}
        for _ in range(turns):
            person = build.a_person()
            body = build.a_webhook(messages=[build.a_text(person, next(words))], people=[person])
            sent[person.number] = time.time()
            assert stack.post(body) == 200
            time.sleep(chance.uniform(0.5, 1.5) / per_s)
        added = [1000 * (wait - _MODEL_S) for wait in answers.waits(stack, sent)]
    return {
        "messages": "one question" if said is _QUESTION else "of all kinds",
        "waits": waits,
        "turns": turns,
        "p50_ms": round(report.percentile(added, 0.5), 1),
        "p75_ms": round(report.percentile(added, 0.75), 1),
        "p99_ms": round(report.percentile(added, 0.99), 1),
    }


def main() -> None:
    """Measure with the waits that it ships with and with none."""
    parser = report.arguments(__doc__ or "")
    parser.add_argument("--turns", type=int, default=120)
    given = parser.parse_args()
    kinds = ((LONE, "default"), (_QUESTION, "default"), (_QUESTION, "none"))
    with tempfile.TemporaryDirectory(prefix="chinwag-bench-") as folder, Cluster(Path(folder)) as cluster:
        rows = [measure(cluster, said=said, waits=waits, turns=given.turns, per_s=5.0) for said, waits in kinds]
    report.table(rows, list(rows[0]))
    report.keep("added_time", {"model_s": _MODEL_S, "rows": rows, "aims_ms": _AIM_MS}, given.json)
    shown = {
        f"{row['messages']}, waits: {row['waits']}": {"p50": row["p50_ms"], "p75": row["p75_ms"], "p99": row["p99_ms"]} for row in rows
    }
    report.bars("added_time", "What the service adds to the model's own time", "ms", shown, aims={"aim of the first p50": _AIM_MS["p50"]})


if __name__ == "__main__":
    main()
