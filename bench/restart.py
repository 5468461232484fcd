"""What becomes of webhooks while the web is started again: 900 first tries, each on a connection of its own, for each way to restart it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for `python bench/NAME.py`

from bench import load, report
from bots.settings import LISTENER
from tests.support import build
from tests.support.cluster import Cluster
from tests.support.processes import ROOT, until
from tests.support.stack import Stack
from tests.support.strangers import HOOK

_TRIES = 900
#: The ways, and whether somebody keeps the socket meanwhile.
_WAYS = {
    "stopped and started": False,
    "in place": False,
    "in place, twice": False,
    "stopped, the socket is kept": True,
    "killed, the socket is kept": True,
}


class _Web:
    """The web, on a socket of its own or on one that is kept here for it."""

    def __init__(self, stack: Stack, *, keeps_socket: bool) -> None:
        self._stack, self._listener = stack, socket.socket() if keeps_socket else None
        if self._listener is not None:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._listener.bind(("127.0.0.1", stack.web_port))
            self._listener.listen()
        self._log = (stack.folder / f"web-{keeps_socket}.log").open("ab")
        self.start()
        until(stack.web_is_ready, what="the web is ready")

    def start(self) -> None:
        number = None if self._listener is None else self._listener.fileno()
        clean = {key: value for key, value in os.environ.items() if not key.startswith("CHINWAG_")} | {"PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bots.web"],
            env=clean | self._stack.env | ({} if number is None else {LISTENER: str(number)}),
            pass_fds=() if number is None else (number,),
            stdout=self._log,
            stderr=self._log,
        )

    def restart(self) -> None:
        """As a supervisor does when the web has ended."""
        self._process.terminate()
        self._process.wait(20)
        self.start()

    def kill(self) -> None:
        """As a supervisor does when the web was killed."""
        self._process.kill()
        self._process.wait(20)
        self.start()

    def restart_in_place(self) -> None:
        self._process.send_signal(signal.SIGHUP)

    def restart_twice(self) -> None:
        """Once more while the first is under way."""
        self._process.send_signal(signal.SIGHUP)
        time.sleep(1.0)
        self._process.send_signal(signal.SIGHUP)

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._log.close()
        if self._listener is not None:
            self._listener.close()


def _try(port: int) -> tuple[str, float]:
    """Send one webhook on a connection of its own; plain sockets, so that what is measured is not this."""
    person = build.a_person()
    body = build.a_webhook(messages=[build.a_text(person, "Good morning!")], people=[person])
    request = load.request(HOOK, body, closes=True)
    began = time.perf_counter()
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as peer:
            peer.sendall(request)
            status = peer.recv(4096)[9:12].decode() or "closed"
    except OSError as error:
        status = type(error).__name__
    return status, time.perf_counter() - began


def _tries(port: int, restart: Callable[[], None], *, seconds: float) -> dict[str, Any]:
    began = time.monotonic()
    threading.Timer(seconds / 4, restart).start()
    with ThreadPoolExecutor(256) as pool:
        sent = []
        for n in range(_TRIES):
            time.sleep(max(0.0, began + n * seconds / _TRIES - time.monotonic()))
            sent.append(pool.submit(_try, port))
        found = [one.result() for one in sent]
    statuses = [status for status, _ in found]
    took = [seconds for _, seconds in found]
    return {
        "first tries": len(found),
        "answers": {status: statuses.count(status) for status in sorted(set(statuses))},
        "p50_ms": round(1000 * report.percentile(took, 0.5), 1),
        "longest_s": round(max(took), 1),
    }


def main() -> None:
    """Restart it in each way."""
    parser = report.arguments(__doc__ or "")
    parser.add_argument("--seconds", type=float, default=20.0, help="time over which the tries are spread")
    given = parser.parse_args()
    folder = tempfile.TemporaryDirectory(prefix="chinwag-bench-")
    rows: list[dict[str, Any]] = []
    with folder as top, Cluster(Path(top)) as cluster:
        work = Path(top) / "stack"
        work.mkdir()
        with Stack(cluster, work, settings={"CHINWAG_LOG_LEVEL": "warning"}) as stack:
            for way, keeps in _WAYS.items():
                web = _Web(stack, keeps_socket=keeps)
                restarts = {"in place": web.restart_in_place, "in place, twice": web.restart_twice, "killed, the socket is kept": web.kill}
                rows.append({"restart": way, **_tries(stack.web_port, restarts.get(way, web.restart), seconds=given.seconds)})
                web.end()
    report.table(rows, ["restart", "first tries", "answers", "p50_ms", "longest_s"])
    report.keep("restart", {"rows": rows}, given.json)


if __name__ == "__main__":
    main()
