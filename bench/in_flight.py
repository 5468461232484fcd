"""Replies a second of one worker process against a model that takes 1.0 s, as a share of the ideal; CPU and memory per turn.

Real Postgres, Redis, Celery, web, platform and model server, all on this machine: they share its cores with the worker.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for `python bench/NAME.py`

from bench import report
from bench.processes import resident_mb
from bots.domain import EventKind, Identity, IdentityKind, InboundEvent
from bots.settings import Settings
from bots.storage import inbox
from tests.support import build
from tests.support.cluster import Cluster
from tests.support.processes import Process, until
from tests.support.stack import WINDOWS, Stack

_MODEL_S = 1.0
_ANSWER = "The Douro runs through the old town; begin at the Ribeira and cross the lower deck of the bridge."
_IN_FLIGHT = (16, 64, 256, 512)
_WARM_S = 5.0
_BATCH = 100
_DONE = "select count(*) from outbox where status not in ('queued', 'sending')"
#: The tests' shortened windows undone: what is measured is the product's defaults.
AS_SHIPPED = {
    variable: str(getattr(Settings(), variable.removeprefix("CHINWAG_").lower()))
    for variable in WINDOWS
    if variable != "CHINWAG_WORKER_SLOTS"
}
_AIMS = {64: 0.95, 256: 0.85}


def fill(stack: Stack, conversations: int) -> None:
    """Insert that many conversations, each with one message that is due at once."""
    engine = stack.engine("crossing")
    with engine.connect() as connection:
        for start in range(0, conversations, _BATCH):
            people = [build.a_person() for _ in range(start, min(start + _BATCH, conversations))]
            events = [
                InboundEvent(
                    kind=EventKind.MESSAGE,
                    event_key=build.a_wamid(),
                    identities=(Identity(kind=IdentityKind.PHONE, value=person.number),),
                    contact_name=person.name,
                    text="My name is Ada and I live in Porto. What can you tell me about the river there, and what should I see first?",
                    occurred_at=datetime.now(UTC),
                )
                for person in people
            ]
            inbox.accept(connection, stack.account, events, queue="reply.default", body=None, debounce_s=0, debounce_cap_s=0)
            connection.commit()
    with stack.owner.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("analyze")


def _cpu_s(workers: list[Process]) -> float:
    """CPU seconds of the workers so far, all threads together (the pool of threads has no child processes)."""
    ticks = 0
    for worker in workers:
        fields = Path(f"/proc/{worker.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def measure(cluster: Cluster, in_flight: int, *, processes: int = 1, seconds: float = 12.0, word_s: float = 0.0) -> dict[str, Any]:
    """One row: `in_flight` turns at once, over so many worker processes. word_s: between two words of an answer, which all take the same time."""
    slots = in_flight // processes
    settings = AS_SHIPPED | {"CHINWAG_WORKER_SLOTS": str(slots)}
    with tempfile.TemporaryDirectory(prefix="chinwag-bench-") as folder, Stack(cluster, Path(folder), settings=settings) as stack:
        stack.model.script(latency_s=_MODEL_S - word_s * len(_ANSWER.split()), answer=_ANSWER, word_s=word_s)
        # Statuses come as Meta aggregates them.
        stack.register_number(batch_ms=500.0)
        fill(stack, int(in_flight * (seconds + _WARM_S + 3) / _MODEL_S))
        stack.start_web()
        workers = [stack.start_worker(f"w{n}") for n in range(processes)]
        stack.start_dispatcher()
        until(lambda: stack.one(_DONE) > 0, what="the first reply was sent", timeout_s=60)
        time.sleep(_WARM_S)
        row = _window(stack, workers, in_flight, seconds)
        for worker in workers:
            worker.kill()
        return row


def _window(stack: Stack, workers: list[Process], in_flight: int, seconds: float) -> dict[str, Any]:
    done, cpu, rss, began = stack.one(_DONE), _cpu_s(workers), resident_mb(*(worker.pid for worker in workers)), time.monotonic()
    time.sleep(seconds)
    done, cpu, took = stack.one(_DONE) - done, _cpu_s(workers) - cpu, time.monotonic() - began
    errors = stack.one("""
        select (select count(*) from send_attempts where outcome <> 'accepted') + (select count(*) from model_calls where outcome <> 'ok')
            + (select count(*) from turns where state = 'dead' or tries > 0)
    """)
    per_s = done / took
    return {
        "in_flight": in_flight,
        "replies_per_s": round(per_s, 2),
        "ratio": round(per_s / (in_flight / _MODEL_S), 3),
        "cpu_ms_per_turn": round(1000 * cpu / max(1, done), 2),
        "rss_mb": resident_mb(*(worker.pid for worker in workers)),
        "rss_mb_at_start": rss,
        "errors": errors,
        "waiting_left": stack.one("select count(*) from conversations where ready_at is not null"),
    }


def main() -> None:
    """Measure every row and write the result."""
    parser: argparse.ArgumentParser = report.arguments(__doc__ or "")
    parser.add_argument("--seconds", type=float, default=12.0, help="length of each measurement")
    parser.add_argument("--only", type=int, help="one row alone")
    parser.add_argument("--words", type=float, default=0.0, help="seconds between two words of an answer; 0: it comes in one piece")
    given = parser.parse_args()
    wanted = (given.only,) if given.only else _IN_FLIGHT
    with tempfile.TemporaryDirectory(prefix="chinwag-bench-") as folder, Cluster(Path(folder)) as cluster:
        rows = []
        for in_flight in wanted:
            rows.append(measure(cluster, in_flight, seconds=given.seconds, word_s=given.words))
            print(f"in flight {in_flight}: {rows[-1]}", flush=True)
        two = [] if given.only else [measure(cluster, 512, processes=2, seconds=given.seconds, word_s=given.words)]
    report.table([*rows, *two], ["in_flight", "replies_per_s", "ratio", "cpu_ms_per_turn", "rss_mb", "errors"])
    report.keep("in_flight", {"model_s": _MODEL_S, "word_s": given.words, "rows": rows, "two_processes": two, "aims": _AIMS}, given.json)
    shown = {str(row["in_flight"]): {"one process": row["ratio"]} for row in rows}
    for row in two:
        shown[f"{row['in_flight']} in two"] = {"one process": row["ratio"]}
    report.bars(
        "in_flight",
        "Replies a second as a share of the ideal, by turns in flight",
        "share of the ideal",
        shown,
        aims={"aim at 64": 0.95, "aim at 256": 0.85},
    )


if __name__ == "__main__":
    main()
