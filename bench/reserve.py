"""A real vLLM that a batch keeps busy, and people who chat meanwhile: their time to answer with slots reserved for them, and with none.

SmolLM2 on the CPU, an engine of eight slots, consumed by the GPU worker as it ships; real Postgres, Redis, Celery, web and platform. Each
setting is measured several times in turn, people alone first; an answer has at most 24 tokens, a batch's item
100 to 400. If people do not wait without the reserve, the bench has shown nothing, and fails.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for `python bench/NAME.py`

from bench import report, serving
from bench.batch import chat, row
from bench.in_flight import AS_SHIPPED
from inference.engines.vllm import Vllm
from tests.support.batches import submit
from tests.support.cluster import Cluster
from tests.support.processes import until
from tests.support.stack import Stack

_SLOTS, _RESERVE = 8, 2
_ITEMS, _ANSWER_TOKENS = 600, 24
#: Items of many lengths, so that slots become free one by one.
_ITEM_TOKENS = (100, 400)
#: Without the reserve p95 must be worse than with it by this factor.
_SHOWS = 1.5
_ENDED = "select count(*) from batch_items where state in ('done', 'failed')"
_RUNNING, _WAITING = "vllm:num_requests_running", "vllm:num_requests_waiting"


def _lines() -> bytes:
    """A batch of long texts."""
    found: list[str] = []
    chance = random.Random(11)
    for n in range(1, _ITEMS + 1):
        words = f"Letter number {n}. Write a long story about an old lighthouse, the people who live in it, and the sea."
        tokens = chance.randint(*_ITEM_TOKENS)
        body = {"messages": [{"role": "user", "content": words}], "max_tokens": tokens, "temperature": 0.9, "top_p": 0.9}
        line = {"custom_id": f"q{n}", "method": "POST", "url": "/v1/chat/completions", "body": body}
        found.append(json.dumps(line) + "\n")
    return "".join(found).encode()


@contextmanager
def _counted(engine: Vllm) -> Iterator[list[dict[str, float]]]:
    """The engine's figures, twice a second while the block lasts."""
    rows: list[dict[str, float]] = []
    over = threading.Event()

    def read() -> None:
        while not over.wait(0.5):
            rows.append(dict(engine.metrics()))

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield rows
    finally:
        over.set()
        thread.join()


def measure(cluster: Cluster, engine: Vllm, *, reserve: int, people: int, per_s: float, seed: int) -> dict[str, Any]:
    """People alone, then with the batch, with so many slots of the engine reserved."""
    chance = random.Random(seed)
    settings = AS_SHIPPED | {
        "CHINWAG_LOG_LEVEL": "warning",
        "CHINWAG_DEBOUNCE_S": "0",
        "CHINWAG_DEBOUNCE_CAP_S": "0",
        "CHINWAG_ANSWER_TOKENS": str(_ANSWER_TOKENS),
        "CHINWAG_BATCH_RESERVE": str(reserve),
    }
    with tempfile.TemporaryDirectory(prefix="chinwag-bench-") as folder, Stack(cluster, Path(folder), settings=settings) as stack:
        stack.env |= {"CHINWAG_MODEL_URL": f"{engine.url}/v1", "CHINWAG_MODEL_NAME": engine.model}
        stack.start_web()
        stack.start_dispatcher()
        gpu = ["workers.gpu", "--profile", "default", "--engine", "real", "--attach", engine.url, "--name", engine.model]
        worker = stack.processes.start("gpu", [*gpu, "--slots", str(_SLOTS)], stack.env)
        worker.wait_ready(lambda: bool(stack.one("select count(*) from worker_heartbeats where slots > 0")), 60)
        chat(stack, 2, 1.0, chance, while_running=False)
        alone = chat(stack, max(5, people // 3), per_s, chance, while_running=False)
        found = submit(stack.engine("web").execution_options(isolation_level="AUTOCOMMIT"), _lines(), bot="tester")
        assert found.total == _ITEMS
        # Once the first items have ended the others end at different times, as in a batch that has run for hours.
        until(lambda: stack.one(_ENDED) >= _SLOTS, what="the batch runs", timeout_s=240, every_s=0.2)
        ended, began = stack.one(_ENDED), time.monotonic()
        meanwhile = serving.Meanwhile()
        with _counted(engine) as rows:
            beside = chat(stack, people, per_s, chance, while_running=True)
        items, took = stack.one(_ENDED) - ended, time.monotonic() - began
        assert len(beside) == people, "the batch ended before everybody had written: give it more items"
        others = meanwhile.others_share()
        errors = stack.one("select count(*) from model_calls where outcome not in ('ok', 'garbage')")
    until(lambda: serving.figures(engine)[_RUNNING] == 0, what="the engine is idle again", timeout_s=120, every_s=0.5)
    return {
        "reserve": reserve,
        "alone": alone,
        "beside": beside,
        "batch_items_per_s": round(items / took, 3),
        "engine_running": round(statistics.fmean(one.get(_RUNNING, 0.0) for one in rows if one), 2),
        "engine_waiting": round(statistics.fmean(one.get(_WAITING, 0.0) for one in rows if one), 2),
        "errors": errors,
        "others_share": others,
    }


def _summary(measured: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each setting the figures of all answers, and the p95 of each round."""
    rows = [row("alone", [took for one in measured for took in one["alone"]]) | {"reserve": None}]
    for reserve in (_RESERVE, 0):
        mine = [one for one in measured if one["reserve"] == reserve]
        name = f"beside the batch, {reserve} of {_SLOTS} slots kept" if reserve else "beside the batch, none kept"
        rows.append(
            row(name, [took for one in mine for took in one["beside"]])
            | {
                "reserve": reserve,
                "p95_of_each_round_s": [round(report.percentile(one["beside"], 0.95), 2) for one in mine],
                "engine_running": round(statistics.fmean(one["engine_running"] for one in mine), 2),
                "batch_items_per_s": round(statistics.fmean(one["batch_items_per_s"] for one in mine), 3),
                "errors": sum(one["errors"] for one in mine),
                "others_share": [one["others_share"] for one in mine],
            }
        )
    return rows


def main() -> int:
    """Measure both settings in turn and write the result; returns 1 when the bench has shown nothing."""
    parser = report.arguments(__doc__ or "")
    parser.add_argument("--rounds", type=int, default=2, help="how often each setting is measured")
    parser.add_argument("--people", type=int, default=25, help="who write during the batch, each time")
    parser.add_argument("--per-s", type=float, default=0.125, help="messages a second")
    given = parser.parse_args()
    model = serving.checkpoint()
    measured: list[dict[str, Any]] = []
    with (
        tempfile.TemporaryDirectory(prefix="chinwag-bench-") as folder,
        Cluster(Path(folder)) as cluster,
        serving.real_engine(model, Path(folder), slots=_SLOTS) as engine,
    ):
        for n in range(given.rounds):
            for reserve in (_RESERVE, 0):
                measured.append(measure(cluster, engine, reserve=reserve, people=given.people, per_s=given.per_s, seed=7 + n))
                print(f"{n + 1} of {given.rounds}: {measured[-1]}", flush=True)
    rows = _summary(measured)
    report.table(rows, ["people", "answers", "p50_s", "p95_s", "engine_running", "batch_items_per_s", "errors"])
    worse = round(rows[2]["p95_s"] / rows[1]["p95_s"], 2)
    print(f"p95 without the reserve / with it: {worse} (below {_SHOWS} the bench has shown nothing)")
    setting = {
        "model": model.name,
        "dtype": serving.dtype(),
        "slots": _SLOTS,
        "answer_tokens": _ANSWER_TOKENS,
        "item_tokens": _ITEM_TOKENS,
        "rounds": given.rounds,
    }
    report.keep("reserve", {**setting, "shows_from": _SHOWS, "p95_without_to_with": worse, "rows": rows}, given.json)
    report.bars(
        "reserve",
        f"Time to answer of people during a batch, real vLLM with {_SLOTS} slots",
        "seconds",
        {
            name: {"p50": one["p50_s"], "p95": one["p95_s"]}
            for name, one in zip(("nobody else", f"batch, {_RESERVE} slots kept", "batch, none kept"), rows, strict=True)
        },
    )
    return 0 if worse >= _SHOWS else 1


if __name__ == "__main__":
    sys.exit(main())
