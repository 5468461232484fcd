"""People who chat while a batch runs: their time to answer with and without it in one run, and how many items a second the batch gets.

Real Postgres, Redis, Celery, web, platform and the scripted model that takes 1.0 s; the product's default settings.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for `python bench/NAME.py`

from bench import answers, report
from bench.in_flight import AS_SHIPPED
from tests.support import build
from tests.support.batches import lines, submit
from tests.support.cluster import Cluster
from tests.support.processes import until
from tests.support.stack import Stack

_MODEL_S = 1.0
_AIM = 1.2
_QUESTION = "What should I see first in Porto? Question"
_ENDED = "select count(*) from batch_items where state in ('done', 'failed')"


def chat(stack: Stack, people: int, per_s: float, chance: random.Random, *, while_running: bool) -> list[float]:
    """Let people write at a steady rate, one message each, and return each one's seconds from the webhook to the answer."""
    sent: dict[str, float] = {}
    due = time.monotonic()
    for _ in range(people):
        if while_running and stack.one("select state from batches") != "running":
            break
        person = build.a_person()
        sent[person.number] = time.time()
        stack.say(person, "Where do I begin?")
        # The rate of people's messages, also when the web is slow for a moment.
        due += chance.uniform(0.5, 1.5) / per_s
        time.sleep(max(0.0, due - time.monotonic()))
    return answers.waits(stack, sent)


def row(name: str, took: list[float]) -> dict[str, Any]:
    return {
        "people": name,
        "answers": len(took),
        "p50_s": round(report.percentile(took, 0.5), 3),
        "p95_s": round(report.percentile(took, 0.95), 3),
        "p99_s": round(report.percentile(took, 0.99), 3),
    }


def measure(cluster: Cluster, *, items: int, people: int, per_s: float) -> dict[str, Any]:
    """Chat alone, then with the batch, then alone again: the two show the machine's own drift."""
    chance = random.Random(7)
    with tempfile.TemporaryDirectory(prefix="chinwag-bench-") as folder:
        settings = AS_SHIPPED | {"CHINWAG_LOG_LEVEL": "warning"}
        with Stack(cluster, Path(folder), settings=settings) as stack:
            stack.model.script(latency_s=_MODEL_S, answer="Begin at the Ribeira.")
            stack.start_web()
            stack.start_worker()
            stack.start_dispatcher()
            chat(stack, 5, per_s, chance, while_running=False)
            before = chat(stack, people, per_s, chance, while_running=False)
            found = submit(stack.engine("web").execution_options(isolation_level="AUTOCOMMIT"), lines(items, text=_QUESTION), bot="tester")
            assert found.total == items
            began = time.monotonic()
            until(lambda: stack.one(_ENDED) > 0, what="the batch runs", timeout_s=30)
            beside = chat(stack, people, per_s, chance, while_running=True)
            assert len(beside) == people, "the batch ended before everybody had written: give it more items"
            until(lambda: stack.one("select state from batches") == "done", what="the batch was done", timeout_s=600, every_s=0.2)
            lasted = stack.one("select extract(epoch from finished_at - started_at) from batches")
            after = chat(stack, people, per_s, chance, while_running=False)
            failed = stack.one("select count(*) from batch_items where state <> 'done'")
            wall = time.monotonic() - began
    alone = [*before, *after]
    ratio = report.percentile(beside, 0.95) / report.percentile(alone, 0.95)
    rows = [row("alone, before", before), row("beside the batch", beside), row("alone, after", after), row("alone", alone)]
    return {
        "items": items,
        "items_per_s": round(items / float(lasted), 1),
        "failed": failed,
        "wall_s": round(wall, 1),
        "p95_ratio": round(ratio, 3),
        "rows": rows,
    }


def main() -> None:
    """Measure once and write the result."""
    parser: argparse.ArgumentParser = report.arguments(__doc__ or "")
    parser.add_argument("--items", type=int, default=2000)
    parser.add_argument("--people", type=int, default=150, help="who write in each of the three stretches")
    parser.add_argument("--per-s", type=float, default=4.0, help="messages a second")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chinwag-bench-") as folder, Cluster(Path(folder)) as cluster:
        found = measure(cluster, items=given.items, people=given.people, per_s=given.per_s)
    report.table(found["rows"], ["people", "answers", "p50_s", "p95_s", "p99_s"])
    print(f"batch of {found['items']}: {found['items_per_s']} items a second, {found['failed']} failed")
    print(f"p95 with the batch / alone: {found['p95_ratio']} (aim: at most {_AIM})")
    report.keep("batch", {"model_s": _MODEL_S, "aims": {"p95_ratio": _AIM}, **found}, given.json)
    rows = {row["people"]: row for row in found["rows"]}
    shown = {name: {"p50": rows[name]["p50_s"], "p95": rows[name]["p95_s"]} for name in ("alone", "beside the batch")}
    aim = round(_AIM * rows["alone"]["p95_s"], 2)
    report.bars("batch", "Time to answer of people who chat, model 1.0 s", "seconds", shown, aims={"aim for p95 beside": aim})


if __name__ == "__main__":
    main()
