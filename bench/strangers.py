"""What strangers cost the web: honest webhooks in, their time, and memory and CPU of the process, calm and under each attack; nothing is in front of it.

Strangers and the honest platform come from the same address, and the process may have 1,024 files. The strangers are one process of lower priority: it may take what
a core has to spare. So there are two baselines: calm, and beside a neighbour of the same priority that keeps a core busy and attacks nothing.
"""

from __future__ import annotations

import argparse
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for `python bench/NAME.py`

from bench import load, report
from tests.support import build
from tests.support.cluster import Cluster
from tests.support.processes import ROOT, Process, until
from tests.support.stack import Stack, a_free_port
from tests.support.strangers import ATTACKS, HOOK

_HONEST = 45
_MOST_MB, _MOST_TIMES = 64, 2.0
_FILES = 1024
_CALM, _BUSY = "calm", "busy neighbour"
#: Until an attack is what it will be.
_LEAD_S = 1.5
_COLUMNS = [
    "web",
    "attack",
    "in",
    "p50_ms",
    "p99_ms",
    "times",
    "beside",
    "web_cpu",
    "stranger_cpu",
    "rss_mb",
    "more_mb",
    "holds",
    "refused",
]


@dataclass
class Web:
    """One of the servers that are measured beside each other."""

    name: str
    port: int
    process: psutil.Process


@dataclass
class _Row:
    """What one attack came to, over all rounds."""

    web: str
    attack: str
    took: list[float] = field(default_factory=list[float])
    refused: dict[str, int] = field(default_factory=dict[str, int])
    #: CPU seconds a second, and resident memory.
    web_cpu: list[float] = field(default_factory=list[float])
    stranger_cpu: list[float] = field(default_factory=list[float])
    rss_mb: float = 0.0

    @property
    def p99_ms(self) -> float:
        return 1000 * report.percentile(self.took, 0.99)

    def figures(self, calm: _Row, busy: _Row) -> dict[str, Any]:
        """As a row of the table, against the two baselines of the same web."""
        more = self.rss_mb - calm.rss_mb
        times, beside = self.p99_ms / calm.p99_ms, self.p99_ms / busy.p99_ms
        return {
            "web": self.web,
            "attack": self.attack,
            "in": f"{len(self.took) - sum(self.refused.values())} of {len(self.took)}",
            "p50_ms": round(1000 * report.percentile(self.took, 0.5), 1),
            "p99_ms": round(self.p99_ms, 1),
            "times": round(times, 2),
            "beside": round(beside, 2),
            "web_cpu": round(sum(self.web_cpu) / len(self.web_cpu), 2),
            "stranger_cpu": round(sum(self.stranger_cpu) / len(self.stranger_cpu), 2),
            "rss_mb": round(self.rss_mb, 1),
            "more_mb": round(more, 1),
            "holds": not self.refused and more <= _MOST_MB and times <= _MOST_TIMES,
            "refused": self.refused,
        }


def _sent(port: int, request: bytes) -> str:
    """Send a request on a connection of its own, and return the status, or what went wrong."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as peer:
            peer.sendall(request)
            return peer.recv(4096).partition(b" ")[2][:3].decode() or "closed"
    except OSError as error:
        return type(error).__name__


def _honest(port: int, row: _Row, *, seconds: float) -> None:
    """Send one signed webhook after another on connections of their own, evenly over the time."""
    began = time.monotonic()
    for n in range(_HONEST):
        time.sleep(max(0.0, began + n * seconds / _HONEST - time.monotonic()))
        person = build.a_person()
        body = build.a_webhook(messages=[build.a_text(person, "Good morning!")], people=[person])
        request = load.request(HOOK, body, closes=True)
        at = time.perf_counter()
        status = _sent(port, request)
        row.took.append(time.perf_counter() - at)
        if status != "200":
            row.refused[status] = row.refused.get(status, 0) + 1


@contextmanager
def _watched(web: psutil.Process, row: _Row) -> Iterator[None]:
    """Note the most memory that a process takes meanwhile."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            row.rss_mb = max(row.rss_mb, sum(one.memory_info().rss for one in family(web)) / 2**20)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def family(process: psutil.Process) -> list[psutil.Process]:
    """A process and those that it has started: some servers work in those."""
    return [process, *process.children(recursive=True)]


def cpu_s(processes: Sequence[psutil.Process]) -> float:
    return sum(one.cpu_times().user + one.cpu_times().system for one in processes)


@contextmanager
def _meanwhile(name: str, port: int, seconds: float) -> Iterator[list[psutil.Process]]:
    """Let an attack go on, or the neighbour; a nicer process, so that what it computes itself costs the web little."""
    if name == _CALM:
        yield []
        return
    command = [sys.executable, "-m", "tests.support.strangers", name, str(port), str(seconds + 2 * _LEAD_S)]
    if name == _BUSY:
        command = [sys.executable, "-c", "while True: pass"]
    process = subprocess.Popen(["nice", "-n", "10", *command], cwd=ROOT)
    try:
        time.sleep(_LEAD_S)
        yield [psutil.Process(process.pid)]
    finally:
        process.kill()
        process.wait()


def _measure(web: Web, row: _Row, *, seconds: float) -> None:
    with _meanwhile(row.attack, web.port, seconds) as strangers, _watched(web.process, row):
        before = time.monotonic(), cpu_s(family(web.process)), cpu_s(strangers)
        _honest(web.port, row, seconds=seconds)
        took = time.monotonic() - before[0]
        row.web_cpu.append((cpu_s(family(web.process)) - before[1]) / took)
        row.stranger_cpu.append((cpu_s(strangers) - before[2]) / took)


def started(stack: Stack, name: str, command: Sequence[str]) -> Web:
    port = a_free_port()
    env = stack.env | {"CHINWAG_WEB_PORT": str(port)}
    limited = ["sh", "-c", f'ulimit -n {_FILES}; exec "$@"', name, *command]
    web = stack.processes.start_command(name.replace(" ", "-"), limited, env)
    _wait(web, port)
    return Web(name, port, psutil.Process(web.pid))


def _wait(web: Process, port: int) -> None:
    def is_ready() -> bool:
        assert web.alive(), web.printed()[-2000:]
        return _sent(port, b"GET /readyz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n") == "200"

    until(is_ready, what="the web is ready", timeout_s=60)


def _arguments() -> argparse.Namespace:
    parser = report.arguments(__doc__ or "")
    parser.add_argument("--seconds", type=float, default=6.0, help="length of each measurement")
    parser.add_argument("--rounds", type=int, default=1, help="how often each is measured; the times of all rounds are taken together")
    parser.add_argument("--only", action="append", choices=list(ATTACKS), help="this attack; can be given several times")
    parser.add_argument(
        "--also",
        action="append",
        default=[],
        metavar="NAME=COMMAND",
        help="another web, measured beside this one in the same rounds; a shell command that serves CHINWAG_WEB_PORT",
    )
    return parser.parse_args()


def main() -> None:
    """Measure calm, beside a busy neighbour, under each attack, and calm again."""
    given = _arguments()
    folder = tempfile.TemporaryDirectory(prefix="chinwag-bench-")
    found: dict[tuple[str, str], _Row] = {}
    with folder as top, Cluster(Path(top)) as cluster:
        work = Path(top) / "stack"
        work.mkdir()
        with Stack(cluster, work, settings={"CHINWAG_LOG_LEVEL": "warning"}) as stack:
            webs = [started(stack, "this", [sys.executable, "-m", "bots.web"])]
            webs += [started(stack, name, ["sh", "-c", command]) for name, _, command in (one.partition("=") for one in given.also)]
            for web in webs:
                _honest(web.port, _Row("", ""), seconds=1)
            for number in range(given.rounds):
                for attack in (_CALM, _BUSY, *(given.only or ATTACKS), _CALM):
                    for web in webs if number % 2 == 0 else reversed(webs):
                        row = found.setdefault((web.name, attack), _Row(web.name, attack))
                        _measure(web, row, seconds=given.seconds)
    rows = [row.figures(found[row.web, _CALM], found[row.web, _BUSY]) for row in found.values()]
    report.table(rows, _COLUMNS)
    report.keep("strangers", {"honest": _HONEST, "files": _FILES, "rounds": given.rounds, "rows": rows}, given.json)


if __name__ == "__main__":
    main()
