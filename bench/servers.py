"""Our application served by other servers: signed webhooks a second and CPU of each, beside ours, in rounds that are interleaved and whose order is swapped.

`python -m bench.servers --python /tmp/other/bin/python`: an environment with our packages, granian and hypercorn. What strangers cost them says
`python -m bench.strangers --also "granian=/tmp/other/bin/python -m bench.servers --serve granian"`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from fastapi import FastAPI

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for `python bench/NAME.py`

from bench import report
from bench.strangers import Web, cpu_s, family, started
from bots.settings import Settings
from bots.telemetry import configure
from bots.web.app import create
from tests.support.cluster import Cluster
from tests.support.processes import ROOT
from tests.support.stack import Stack

#: With the bounds that each of them has: a head's size and time, connections, idle time.
_COMMANDS = {
    "uvicorn": "--factory bench.servers:app --port {port} --loop uvloop --http httptools --no-access-log --log-level warning"
    " --backlog 2048 --timeout-keep-alive 75",
    "granian": "--interface asgi --factory bench.servers:app --port {port} --loop uvloop --http 1 --no-ws --no-log"
    " --backlog 2048 --backpressure 1000 --http1-buffer-size 16384 --http1-header-read-timeout 10000",
    "hypercorn": "bench.servers:app() --bind 127.0.0.1:{port} --worker-class uvloop --log-level warning"
    " --backlog 2048 --keep-alive 75 --read-timeout 10",
}
_CONNECTIONS = (16, 64)


def app() -> FastAPI:
    """Our application."""
    settings = Settings.from_env(os.environ)
    configure(settings.log_level)
    return create(settings)


def _serve(server: str) -> None:
    """Serve it."""
    program = Path(sys.executable).with_name(server)
    os.execv(program, [str(program), *_COMMANDS[server].format(port=os.environ["CHINWAG_WEB_PORT"]).split()])


def _load(web: Web, *, connections: int, seconds: float, first: int) -> tuple[dict[str, Any], float]:
    """What the load generator says, and CPU of the server in microseconds for each webhook."""
    arguments = ["--port", str(web.port), "--path", "/webhooks/whatsapp/test", "--connections", str(connections)]
    arguments += ["--seconds", str(seconds), "--count", str(int(6000 * seconds)), "--first", str(first)]
    before = cpu_s(family(web.process))
    found = json.loads(subprocess.check_output([sys.executable, "-m", "bench.load", *arguments], cwd=ROOT))
    return found, 1e6 * (cpu_s(family(web.process)) - before) / max(1, found["count"])


def main() -> None:
    """Serve, or measure them all."""
    parser = report.arguments(__doc__ or "")
    parser.add_argument("--serve", choices=list(_COMMANDS), help="only serve, on CHINWAG_WEB_PORT")
    parser.add_argument("--python", default=sys.executable, help="the Python of the environment that has the other servers")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    if given.serve:
        _serve(given.serve)
        return
    found: dict[tuple[str, int], list[tuple[dict[str, Any], float]]] = {}
    with tempfile.TemporaryDirectory(prefix="chinwag-bench-") as top, Cluster(Path(top)) as cluster:
        work = Path(top) / "stack"
        work.mkdir()
        with Stack(cluster, work, settings={"CHINWAG_LOG_LEVEL": "warning"}) as stack:
            webs = [started(stack, "this", [sys.executable, "-m", "bots.web"])]
            webs += [started(stack, name, [given.python, "-m", "bench.servers", "--serve", name]) for name in _COMMANDS]
            first = 0
            for number in range(given.rounds):
                for web in webs if number % 2 == 0 else reversed(webs):
                    for connections in _CONNECTIONS:
                        found.setdefault((web.name, connections), []).append(
                            _load(web, connections=connections, seconds=given.seconds, first=first)
                        )
                        first += 1_000_000
    rows = [_row(name, connections, results) for (name, connections), results in found.items()]
    report.table(rows, ["server", "connections", "per_s", "p50_ms", "p99_ms", "web_us", "statuses"])
    report.keep("servers", {"versions": _versions(given.python), "rounds": given.rounds, "rows": rows}, given.json)


def _row(name: str, connections: int, results: list[tuple[dict[str, Any], float]]) -> dict[str, Any]:
    """The middle one of all rounds."""
    middle, cpu = sorted(results, key=lambda one: one[0]["per_s"])[len(results) // 2]
    return {"server": name, "connections": connections, **middle, "web_us": round(cpu)}


def _versions(python: str) -> dict[str, str]:
    code = f"import importlib.metadata as m; print(*[m.version(name) for name in {list(_COMMANDS)}])"
    return dict(zip(_COMMANDS, subprocess.check_output([python, "-c", code], text=True).split(), strict=True))


if __name__ == "__main__":
    main()
