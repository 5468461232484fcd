"""The shipped configurations of nginx and Caddy before the real web: webhooks arrive, also among strangers and while the web is started again.

`python -m bench.proxies --nginx /usr/sbin/nginx --caddy /usr/bin/caddy`; one that is not given is looked for, and left out if it is not there.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for `python bench/NAME.py`

from bench import report
from tests.support import build
from tests.support.cluster import Cluster
from tests.support.processes import ROOT, Process, until
from tests.support.stack import Stack, a_free_port

_DEPLOY = ROOT / "deploy"


def _nginx(program: str, stack: Stack, port: int) -> Process:
    """Start nginx with the shipped server, without TLS and on another port."""
    folder = stack.folder / "nginx"
    (folder / "logs").mkdir(parents=True)
    lines = (_DEPLOY / "nginx.conf").read_text().replace("listen 443 ssl", f"listen 127.0.0.1:{port}").splitlines()
    site = "\n".join(line for line in lines if "ssl_certificate" not in line).replace("127.0.0.1:8081", f"127.0.0.1:{stack.web_port}")
    paths = "".join(f"{name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;\n"
        f"events {{ worker_connections 2048; }}\nhttp {{\naccess_log off;\n{paths}{site}\n}}\n"
    )
    return stack.processes.start_command("nginx", [program, "-e", str(folder / "error.log"), "-p", str(folder), "-c", str(config)], {})


def _caddy(program: str, stack: Stack, port: int) -> Process:
    """Start Caddy with the shipped site, without TLS and on another port."""
    env = {
        "CHINWAG_NAME": f"http://127.0.0.1:{port}",
        "CHINWAG_HOOKS": f"127.0.0.1:{stack.web_port}",
        "HOME": str(stack.folder),
        "XDG_DATA_HOME": str(stack.folder / "caddy"),
    }
    # Without its port for administration.
    config = stack.folder / "Caddyfile"
    config.write_text((_DEPLOY / "Caddyfile").read_text().replace("{\n", "{\n\tadmin off\n", 1))
    return stack.processes.start_command("caddy", [program, "run", "--config", str(config), "--adapter", "caddyfile"], env)


class _Platform:
    """Sends webhooks from some threads, each once, and counts what came of them."""

    def __init__(self, url: str) -> None:
        self._url, self._over = url, threading.Event()
        self.found: list[str] = []
        self._threads = [threading.Thread(target=self._send, daemon=True) for _ in range(3)]
        for thread in self._threads:
            thread.start()

    def _send(self) -> None:
        with httpx.Client(trust_env=False, timeout=30) as client:
            while not self._over.is_set():
                person = build.a_person()
                body = build.a_webhook(messages=[build.a_text(person, "Good morning!")], people=[person])
                try:
                    status = str(client.post(self._url, content=body, headers=build.sign(body)).status_code)
                except httpx.TransportError as error:
                    status = type(error).__name__
                self.found.append(status)
                time.sleep(0.02)

    def finish(self) -> list[str]:
        self._over.set()
        for thread in self._threads:
            thread.join()
        return self.found


def _during(url: str, what: Callable[[], None]) -> dict[str, int]:
    platform = _Platform(url)
    until(lambda: len(platform.found) > 5, what="webhooks arrive")
    what()
    before = len(platform.found)
    until(lambda: len(platform.found) > before + 10, what="webhooks arrive again", timeout_s=60)
    found = platform.finish()
    return {status: found.count(status) for status in sorted(set(found))}


def _web(stack: Stack, *, wait: bool = True) -> Process:
    env = stack.env | {"CHINWAG_WEB_TRUSTED_PROXIES": "127.0.0.1", "CHINWAG_WEB_HOOKS_ONLY": "1"}
    web = stack.processes.start_command("web", [sys.executable, "-m", "bots.web"], env)
    if wait:
        web.wait_ready(stack.web_is_ready)
    return web


def _try(stack: Stack, start: Callable[[str, Stack, int], Process], program: str, name: str) -> list[dict[str, Any]]:
    web, port = _web(stack), a_free_port()
    url = f"http://127.0.0.1:{port}/webhooks/whatsapp/test"
    proxy = start(program, stack, port)

    def answers() -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{port}/", trust_env=False).status_code == 404
        return False

    proxy.wait_ready(answers)

    def among_strangers() -> None:
        command = [sys.executable, "-m", "tests.support.strangers", "slow bodies", str(port), "6"]
        stack.processes.start_command("strangers", command, {"PYTHONPATH": str(ROOT)}).popen.wait(30)

    def restart_in_place() -> None:
        web.popen.send_signal(signal.SIGHUP)
        until(lambda: web.printed().count("web_started") == 2, what="the web starts again", timeout_s=60)

    def stop_and_start() -> None:
        nonlocal web
        web.stop()
        web = _web(stack, wait=False)

    cases: dict[str, Callable[[], None]] = {"calm": lambda: None, "strangers": among_strangers, "restart in place": restart_in_place}
    if name == "caddy":
        # nginx knows no waiting for a server that is not there: the platform sends again.
        cases["stop and start"] = stop_and_start
    rows = [{"proxy": name, "case": case, "answers": _during(url, what)} for case, what in cases.items()]
    proxy.stop()
    web.stop()
    return rows


def main() -> None:
    """Try each proxy that is there."""
    parser = report.arguments(__doc__ or "")
    parser.add_argument("--nginx", default=shutil.which("nginx") or "/usr/sbin/nginx")
    parser.add_argument("--caddy", default=shutil.which("caddy") or "/usr/bin/caddy")
    given = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for name, start, program in (("nginx", _nginx, given.nginx), ("caddy", _caddy, given.caddy)):
        if not os.access(program, os.X_OK):
            print(f"{name}: not here ({program}); left out")
            continue
        folder = tempfile.TemporaryDirectory(prefix="chinwag-bench-")
        with folder as top, Cluster(Path(top)) as cluster:
            work = Path(top) / "stack"
            work.mkdir()
            with Stack(cluster, work, settings={"CHINWAG_LOG_LEVEL": "info"}) as stack:
                rows += _try(stack, start, program, name)
    for row in rows:
        row["holds"] = set(row["answers"]) == {"200"}
    if rows:
        report.table(rows, ["proxy", "case", "answers", "holds"])
        report.keep("proxies", {"rows": rows}, given.json)


if __name__ == "__main__":
    main()
