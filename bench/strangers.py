"""What strangers cost the web: honest webhooks in, their time, and the memory of the process, calm and under each attack; nothing is in front of it.

Strangers and the honest platform come from the same address, and the process may have 1,024 files.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Self

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for `python bench/NAME.py`

from bench import report
from tests.support import build
from tests.support.cluster import Cluster
from tests.support.stack import Stack
from tests.support.strangers import ATTACKS, HOOK

_HONEST = 45
_MOST_MB, _MOST_TIMES = 64, 2.0
_FILES = 1024


class _Memory:
    """Watches the resident memory of a process."""

    def __init__(self, pid: int) -> None:
        self._status = Path(f"/proc/{pid}/status")
        self.now_mb()
        self._most, self._over = 0.0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def now_mb(self) -> float:
        line = next(line for line in self._status.read_text().splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def most_mb(self) -> float:
        return self._most

    def _watch(self) -> None:
        while not self._over.wait(0.05):
            self._most = max(self._most, self.now_mb())


def _sent(port: int, request: bytes) -> str:
    """Send a request on a connection of its own, and return the status, or what went wrong."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as peer:
            peer.sendall(request)
            return peer.recv(4096).partition(b" ")[2][:3].decode() or "closed"
    except OSError as error:
        return type(error).__name__


def _honest(port: int, *, seconds: float) -> dict[str, Any]:
    """Send one signed webhook after another on connections of their own, evenly over the time."""
    took: list[float] = []
    refused: dict[str, int] = {}
    began = time.monotonic()
    for n in range(_HONEST):
        time.sleep(max(0.0, began + n * seconds / _HONEST - time.monotonic()))
        person = build.a_person()
        body = build.a_webhook(messages=[build.a_text(person, "Good morning!")], people=[person])
        head = "".join(f"{name}: {value}\r\n" for name, value in {**build.sign(body), "content-length": len(body)}.items())
        request = f"POST {HOOK} HTTP/1.1\r\nhost: chinwag.test\r\nconnection: close\r\n{head}\r\n".encode() + body
        at = time.perf_counter()
        status = _sent(port, request)
        took.append(time.perf_counter() - at)
        if status != "200":
            refused[status] = refused.get(status, 0) + 1
    return {
        "in": _HONEST - sum(refused.values()),
        "p50_ms": round(1000 * report.percentile(took, 0.5), 1),
        "p99_ms": round(1000 * report.percentile(took, 0.99), 1),
        "refused": refused,
    }


def _measure(stack: Stack, pid: int, name: str, *, seconds: float) -> dict[str, Any]:
    memory = _Memory(pid)
    before = memory.now_mb()
    attack = None
    if name != "calm":
        command = [sys.executable, "-m", "tests.support.strangers", name, str(stack.web_port), str(seconds + 2)]
        # A nicer process: what is measured is what strangers cost the web, and not what their own computing costs this machine.
        attack = subprocess.Popen(["nice", "-n", "10", *command], cwd=Path(__file__).resolve().parent.parent)
        time.sleep(2)
    with memory:
        found = _honest(stack.web_port, seconds=seconds)
    if attack is not None:
        attack.kill()
        attack.wait()
    return {"attack": name, **found, "rss_mb": round(memory.most_mb, 1), "more_mb": round(memory.most_mb - before, 1)}


def main() -> None:
    """Measure calm, each attack, and calm again."""
    parser = report.arguments(__doc__ or "")
    parser.add_argument("--seconds", type=float, default=9.0, help="length of each measurement")
    parser.add_argument("--only", action="append", choices=list(ATTACKS), help="this attack; can be given several times")
    given = parser.parse_args()
    folder = tempfile.TemporaryDirectory(prefix="chinwag-bench-")
    with folder as top, Cluster(Path(top)) as cluster:
        work = Path(top) / "stack"
        work.mkdir()
        with Stack(cluster, work, settings={"CHINWAG_LOG_LEVEL": "warning"}) as stack:
            limited = ["sh", "-c", f'ulimit -n {_FILES}; exec "$@"', "web", sys.executable, "-m", "bots.web"]
            web = stack.processes.start_command("web", limited, stack.env)
            web.wait_ready(stack.web_is_ready)
            _honest(stack.web_port, seconds=2)
            rows = [_measure(stack, web.pid, name, seconds=given.seconds) for name in ("calm", *(given.only or ATTACKS), "calm")]
    # The slower of the two calm runs: this machine's own noise is in both.
    calm = max(rows[0]["p99_ms"], rows[-1]["p99_ms"])
    for row in rows:
        row["times"] = round(row["p99_ms"] / calm, 2)
        row["more_mb"] = round(row["rss_mb"] - rows[0]["rss_mb"], 1)
        row["holds"] = row["in"] == _HONEST and row["more_mb"] <= _MOST_MB and row["times"] <= _MOST_TIMES
    report.table(rows, ["attack", "in", "p50_ms", "p99_ms", "times", "rss_mb", "more_mb", "holds", "refused"])
    report.keep("strangers", {"honest": _HONEST, "files": _FILES, "rows": rows}, given.json)


if __name__ == "__main__":
    main()
