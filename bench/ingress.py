"""Signed webhooks a second of the real endpoint on one process, beside a bare endpoint of the same framework and one with one insert.

Each kind of load in turn: texts of known people over 1, 4, 16 and 64 connections, texts of people who write for the first time, statuses one by one
and in bulk. Rounds are interleaved and their order is swapped. CPU is that of web and Postgres, by webhook and by message or status.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for `python bench/NAME.py`

from bench import load, report
from tests.support.cluster import Cluster
from tests.support.processes import Process
from tests.support.stack import Stack, a_free_port

_AIM, _AIM_P99, _AIM_STATUS = 1.0, 2.0, 1 / 3
#: Answers that statuses are about; made before the clock starts.
_ANSWERS, _PEOPLE = 120_000, 400
SENT = """
    with talk as (
        insert into contacts (tenant_id, name) select tenant_id, 'Ada' from accounts, generate_series(1, {people}) returning tenant_id, id
    ), conversation as (
        insert into conversations (tenant_id, account_id, contact_id, queue)
        select a.tenant_id, a.id, talk.id, 'reply.default' from talk join accounts a using (tenant_id) returning *
    ), answered as (
        insert into turns (tenant_id, conversation_id, contact_id, number, state)
        select tenant_id, id, contact_id, n, 'answered' from conversation, generate_series(1, {answers} / {people}) n returning *
    )
    insert into outbox (tenant_id, turn_id, part, account_id, contact_id, conversation_id, body, status, external_id)
    select t.tenant_id, t.id, 1, c.account_id, t.contact_id, c.id, 'The Ribeira.', 'accepted', 'wamid.HBgLMzQ2MDAxMTEyMjIVAgARGBI' || lpad((row_number() over () - 1)::text, 28, '0')
    from answered t join conversation c on c.id = t.conversation_id
"""


@dataclass(frozen=True, slots=True)
class _Row:
    """One kind of load on one endpoint."""

    endpoint: str
    kind: str
    connections: int

    @property
    def events(self) -> int:
        """How many messages or statuses a body has."""
        return 3 * load.IN_BULK if self.kind == "statuses" else 1


_ROWS = (
    *(_Row(endpoint, "text", connections) for connections in (1, 4, 16, 64) for endpoint in ("bare", "one insert", "real")),
    _Row("real", "first text", 16),
    _Row("real", "status", 16),
    _Row("real", "statuses", 16),
)


def _up(process: Process, url: str) -> None:
    def answers() -> bool:
        try:
            return httpx.post(url, content=b"{}", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    process.wait_ready(answers)


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    # Its own and that of its ended children.
    return sum(map(int, fields[11:15]))


def _cpu_ms(web: int, postmaster: int) -> tuple[float, float]:
    """CPU so far of the web and of Postgres."""
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text(encoding="ascii").split()
    per_s = os.sysconf("SC_CLK_TCK")
    return 1000 * _ticks(web) / per_s, 1000 * sum(map(_ticks, [postmaster, *map(int, children)])) / per_s


class _Bench:
    """A stack with the endpoints, and how many messages were sent so far."""

    def __init__(self, stack: Stack, seconds: float) -> None:
        self._stack, self._seconds, self._sent, self._told = stack, seconds, 0, 0
        with stack.owner.begin() as connection:
            connection.exec_driver_sql(
                "create table bare (id uuid primary key, body bytea not null, at timestamptz not null default now())"
            )
            connection.exec_driver_sql("grant insert on bare to chinwag_web")
            connection.exec_driver_sql(SENT.format(answers=_ANSWERS, people=_PEOPLE))
        with stack.owner.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("analyze")
        self._bare_port = a_free_port()
        self._bare = stack.processes.start(
            "bare", ["bench.bare", str(self._bare_port)], {"BENCH_DATABASE_URL": stack.env["CHINWAG_WEB_DATABASE_URL"]}
        )
        _up(self._bare, f"http://127.0.0.1:{self._bare_port}/bare")
        self._web = stack.start_web()
        # Those who "have written before" have; and plans are made for the tables as they are.
        for _ in range(2):
            self.measure(_Row("real", "text", 16), count=2 * load.PEOPLE)

    def measure(self, row: _Row, count: int = 0) -> dict[str, Any]:
        """Load one endpoint for a while, or with so many webhooks."""
        real = row.endpoint == "real"
        port, path = (self._stack.web_port, "/webhooks/whatsapp/test") if real else (self._bare_port, f"/{row.endpoint.split()[-1]}")
        seconds = 60.0 if count else self._seconds
        count = count or int((8000 if row.kind != "statuses" else 500) * seconds)
        first, is_status = self._sent, row.kind.startswith("status")
        if is_status:
            count = min(count, (_ANSWERS - self._told) * 3 // row.events)
            first = self._told
        arguments = ["bench.load", "--port", str(port), "--path", path, "--connections", str(row.connections), "--kind", row.kind]
        arguments += ["--seconds", str(seconds), "--count", str(count), "--first", str(first)]
        pids = (self._web if real else self._bare).pid, self._stack.cluster.postgres.child.pid
        before = _cpu_ms(*pids)
        found = json.loads(self._stack.processes.run("load", arguments, {}, timeout_s=seconds + 60))
        web, postgres = (after - since for since, after in zip(before, _cpu_ms(*pids), strict=True))
        if is_status:
            self._told += found["count"] * row.events // 3 + 1
        else:
            self._sent += count
        events = max(1, found["count"]) * row.events
        return {
            "endpoint": row.endpoint,
            "load": row.kind,
            "connections": row.connections,
            **found,
            "web_us": round(1000 * web / events),
            "postgres_us": round(1000 * postgres / events),
        }


def main() -> None:
    """Measure every row in turn, several rounds, and take the median of each."""
    parser = report.arguments(__doc__ or "")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, action="append", help="only with so many connections")
    parser.add_argument("--kind", choices=load.KINDS, action="append", help="only this kind of load")
    given = parser.parse_args()
    rows = [
        row
        for row in _ROWS
        if (not given.kind or row.kind in given.kind) and (not given.connections or row.connections in given.connections)
    ]
    found: dict[_Row, list[dict[str, Any]]] = {row: [] for row in rows}
    with tempfile.TemporaryDirectory(prefix="chinwag-bench-") as top, Cluster(Path(top)) as cluster:
        work = Path(top) / "stack"
        work.mkdir()
        with Stack(cluster, work, settings={"CHINWAG_LOG_LEVEL": "warning"}) as stack:
            bench = _Bench(stack, given.seconds)
            for n in range(given.rounds):
                for row in rows if n % 2 == 0 else reversed(rows):
                    found[row].append(bench.measure(row))
    middle = {row: sorted(results, key=lambda one: one["per_s"])[len(results) // 2] for row, results in found.items()}
    columns = ["endpoint", "load", "connections", "per_s", "p50_ms", "p99_ms", "web_us", "postgres_us", "statuses"]
    report.table(list(middle.values()), columns)
    ratios = _ratios(found)
    for name, values in ratios.items():
        print(f"{name}: {values['median']} ({values['least']} to {values['most']}; aim {values['aim']})")
    report.keep("ingress", {"rows": list(middle.values()), "ratios": ratios}, given.json)
    shown: dict[str, dict[str, float]] = {f"{row.kind}, {row.connections}": {} for row in middle}
    for row, result in middle.items():
        shown[f"{row.kind}, {row.connections}"][row.endpoint] = result["per_s"] * row.events
    report.bars("ingress", "Messages and statuses a second on one process, by load and connections", "a second", shown)


def _ratios(found: dict[_Row, list[dict[str, Any]]]) -> dict[str, dict[str, float | None]]:
    """What is aimed at, by pairs of the same round."""
    ratios: dict[str, dict[str, float | None]] = {}
    for connections in (1, 4, 16, 64):
        real, insert = (found.get(_Row(endpoint, "text", connections)) for endpoint in ("real", "one insert"))
        if real and insert:
            pairs = list(zip(real, insert, strict=True))
            ratios[f"webhooks a second to one insert, {connections} connections"] = _spread(
                [a["per_s"] / b["per_s"] for a, b in pairs], _AIM
            )
            ratios[f"p99 to one insert, {connections} connections"] = _spread([a["p99_ms"] / b["p99_ms"] for a, b in pairs], _AIM_P99)
    text = found.get(_Row("real", "text", 16))
    for kind in ("first text", "status", "statuses"):
        other = found.get(_Row("real", kind, 16))
        if text and other:
            pairs = [((a["web_us"] + a["postgres_us"]) / (b["web_us"] + b["postgres_us"])) for a, b in zip(other, text, strict=True)]
            ratios[f"CPU of one of {kind} to a text"] = _spread(pairs, _AIM_STATUS if kind == "statuses" else None)
    return ratios


def _spread(values: list[float], aim: float | None) -> dict[str, float | None]:
    return {
        "median": round(statistics.median(values), 3),
        "least": round(min(values), 3),
        "most": round(max(values), 3),
        "aim": aim,
    }


if __name__ == "__main__":
    main()
