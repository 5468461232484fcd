"""Signed webhooks a second of the real endpoint on one process, compared with a bare endpoint of the same framework, and one with one insert."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for `python bench/NAME.py`

from bench import report
from tests.support.cluster import Cluster
from tests.support.processes import Process
from tests.support.stack import Stack, a_free_port

_AIM = 0.5
_ROUNDS = 3


def _up(process: Process, url: str) -> None:
    def answers() -> bool:
        try:
            return httpx.post(url, content=b"{}", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    process.wait_ready(answers)


def _load(stack: Stack, port: int, path: str, *, connections: int, seconds: float) -> dict[str, Any]:
    arguments = ["bench.load", "--port", str(port), "--path", path, "--connections", str(connections), "--seconds", str(seconds)]
    return json.loads(stack.processes.run("load", arguments, {}, timeout_s=seconds + 60))


def main() -> None:
    """Measure the three endpoints in turn, several rounds, and take each one's median."""
    parser = report.arguments(__doc__ or "")
    parser.add_argument("--seconds", type=float, default=6.0, help="length of each measurement")
    parser.add_argument("--connections", type=int, default=16)
    given = parser.parse_args()
    folder = tempfile.TemporaryDirectory(prefix="chinwag-bench-")
    with folder as top, Cluster(Path(top)) as cluster:
        work = Path(top) / "stack"
        work.mkdir()
        with Stack(cluster, work, settings={"CHINWAG_LOG_LEVEL": "warning"}) as stack:
            with stack.owner.begin() as connection:
                connection.exec_driver_sql(
                    "create table bare (id uuid primary key, body bytea not null, at timestamptz not null default now())"
                )
                connection.exec_driver_sql("grant insert on bare to chinwag_web")
            bare_port = a_free_port()
            bare = stack.processes.start(
                "bare", ["bench.bare", str(bare_port)], {"BENCH_DATABASE_URL": stack.env["CHINWAG_WEB_DATABASE_URL"]}
            )
            _up(bare, f"http://127.0.0.1:{bare_port}/bare")
            stack.start_web()
            places = {
                "bare": (bare_port, "/bare"),
                "one insert": (bare_port, "/insert"),
                "real": (stack.web_port, "/webhooks/whatsapp/test"),
            }
            found: dict[str, list[dict[str, Any]]] = {name: [] for name in places}
            for _ in range(_ROUNDS):
                for name, (port, path) in places.items():
                    found[name].append({"endpoint": name, **_load(stack, port, path, connections=given.connections, seconds=given.seconds)})
    middle = {name: sorted(rounds, key=lambda one: one["per_s"])[_ROUNDS // 2] for name, rounds in found.items()}
    rows = list(middle.values())
    ratios = {
        "ratio_to_bare": round(middle["real"]["per_s"] / middle["bare"]["per_s"], 3),
        "ratio_to_one_insert": round(middle["real"]["per_s"] / middle["one insert"]["per_s"], 3),
    }
    report.table(rows, ["endpoint", "per_s", "p50_ms", "p99_ms", "statuses"])
    print(f"real / bare: {ratios['ratio_to_bare']}; real / one insert: {ratios['ratio_to_one_insert']} (aim {_AIM})")
    report.keep("ingress", {"connections": given.connections, "rows": rows, **ratios, "aim_to_one_insert": _AIM}, given.json)
    report.bars("ingress", "Webhooks a second on one process", "POST/s", {row["endpoint"]: {"POST/s": row["per_s"]} for row in rows})


if __name__ == "__main__":
    main()
