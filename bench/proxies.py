"""The shipped configurations of nginx and Caddy before the real web: webhooks arrive, also the largest, among strangers and while the web is started again;
who counts as their source; and the pages, through what docs/operations.md says.

`python -m bench.proxies --nginx /usr/sbin/nginx --caddy /usr/bin/caddy`; one that is not given is looked for, and left out if it is not there.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for `python bench/NAME.py`

from bench import report
from bots.settings import Settings
from bots.web.serving.sources import Sources
from tests.support import build
from tests.support.cluster import Cluster
from tests.support.processes import ROOT, Process, until
from tests.support.stack import Stack, a_free_port
from tests.support.strangers import HOOK

_DEPLOY = ROOT / "deploy"


def _nginx(program: str, stack: Stack, port: int, site: str) -> Process:
    """Start nginx with a server, without TLS and on another port."""
    folder = stack.folder / f"nginx-{port}"
    (folder / "logs").mkdir(parents=True)
    paths = "".join(f"{name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;\n"
        f"events {{ worker_connections 2048; }}\nhttp {{\naccess_log off;\n{paths}{site}\n}}\n"
    )
    return stack.processes.start_command("nginx", [program, "-e", str(folder / "error.log"), "-p", str(folder), "-c", str(config)], {})


def _nginx_hooks(program: str, stack: Stack, port: int, web: int) -> Process:
    """With the shipped server for webhooks."""
    lines = (_DEPLOY / "nginx.conf").read_text().replace("listen 443 ssl", f"listen 127.0.0.1:{port}").splitlines()
    site = "\n".join(line for line in lines if "ssl_certificate" not in line)
    return _nginx(program, stack, port, site.replace("127.0.0.1:8081", f"127.0.0.1:{web}"))


def _nginx_pages(program: str, stack: Stack, port: int, web: int) -> Process:
    """With what the documentation says for the pages."""
    block = _documented("nginx, in the `server` of that name:").replace("127.0.0.1:8080", f"127.0.0.1:{web}")
    return _nginx(program, stack, port, f"server {{ listen 127.0.0.1:{port};\n{block.replace('10.0.0.0/8', '127.0.0.0/8')}\n}}")


def _caddy(program: str, stack: Stack, port: int, site: str, **env: str) -> Process:
    """Start Caddy with a configuration, without its port for administration."""
    folder = stack.folder / f"caddy-{port}"
    folder.mkdir()
    config = folder / "Caddyfile"
    config.write_text(site.replace("{\n", "{\n\tadmin off\n", 1))
    command = [program, "run", "--config", str(config), "--adapter", "caddyfile"]
    return stack.processes.start_command("caddy", command, {"HOME": str(folder), "XDG_DATA_HOME": str(folder), **env})


def _caddy_hooks(program: str, stack: Stack, port: int, web: int) -> Process:
    """With the shipped site for webhooks, without TLS and on another port."""
    env = {"CHINWAG_NAME": f"http://127.0.0.1:{port}", "CHINWAG_HOOKS": f"127.0.0.1:{web}"}
    return _caddy(program, stack, port, (_DEPLOY / "Caddyfile").read_text(), **env)


def _caddy_pages(program: str, stack: Stack, port: int, web: int) -> Process:
    """With what the documentation says for the pages, for any name."""
    block = _documented("For the admin pages, Caddy:").replace("admin.example.com", f"http://:{port}")
    return _caddy(program, stack, port, "{\n}\n" + block.replace("10.0.0.0/8", "127.0.0.0/8").replace("127.0.0.1:8080", f"127.0.0.1:{web}"))


def _documented(line: str) -> str:
    """The block of the documentation that follows a line."""
    return (ROOT / "docs" / "operations.md").read_text().partition(line)[2].split("```")[1]


_Start = Callable[[str, Stack, int, int], Process]
_PROXIES: dict[str, tuple[_Start, _Start]] = {"nginx": (_nginx_hooks, _nginx_pages), "caddy": (_caddy_hooks, _caddy_pages)}


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


def _web(stack: Stack, *, wait: bool = True, hooks_only: bool = True) -> Process:
    env = stack.env | {"CHINWAG_WEB_TRUSTED_PROXIES": "127.0.0.1", "CHINWAG_WEB_HOOKS_ONLY": str(int(hooks_only))}
    web = stack.processes.start_command("web", [sys.executable, "-m", "bots.web"], env)
    if wait:
        web.wait_ready(stack.web_is_ready)
    return web


def _up(start: _Start, program: str, stack: Stack, web: int) -> tuple[Process, int]:
    """Start a proxy on some port, and wait until it answers."""
    port = a_free_port()
    proxy = start(program, stack, port, web)

    def answers() -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{port}/nothing", trust_env=False).status_code == 404
        return False

    proxy.wait_ready(answers)
    return proxy, port


def _arrivals(stack: Stack, start: _Start, program: str, name: str) -> Iterator[tuple[str, object, bool]]:
    """Webhooks through a proxy: each case with the answers, and whether these are as they should be."""
    web = _web(stack)
    proxy, port = _up(start, program, stack, stack.web_port)
    url = f"http://127.0.0.1:{port}{HOOK}"

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

    cases: dict[str, Callable[[], None]] = {
        "calm": lambda: None,
        "strangers": among_strangers,
        "restart in place": restart_in_place,
        "stop and start": stop_and_start,
    }
    for case, what in cases.items():
        found = _during(url, what)
        # Nobody keeps the socket of what is stopped: what came in the meantime gets a 502, and the platform sends it again.
        yield case, found, set(found) <= ({"200", "502"} if case == "stop and start" else {"200"})
    most = Settings().web_max_body_bytes
    sizes = [_posted(url, size) for size in (most, most + 1, 6 * 1024 * 1024)]
    yield "largest body; one byte more; more than the proxy takes", sizes, sizes == [200, 413, 413]
    other = httpx.get(f"http://127.0.0.1:{port}/admin/sign-in", trust_env=False).status_code
    yield "another path", other, other == 404
    if name == "caddy":
        # nginx sends nothing on before it has a whole body.
        until(stack.web_is_ready, what="the web is ready")
        refused = _refused(port, web, stack.web_port)
        yield "sent away: of 40 slow bodies of one source under 40 names, of 5 of another", refused, refused == 8
    proxy.stop()
    web.stop()


def _posted(url: str, size: int) -> int:
    """The answer to a signed webhook of this many bytes."""
    person = build.a_person()
    body = build.a_webhook(messages=[build.a_text(person, "Good morning!")], people=[person]).ljust(size)
    return httpx.post(url, content=body, headers=build.sign(body), trust_env=False, timeout=30).status_code


def _refused(port: int, web: Process, web_port: int) -> int:
    """How many unfinished bodies the web sends away: of one source that writes another name each time there are 40, of a second one 5.

    Caddy tells a peer only when it has sent all of its body. So those are counted that the web still has.
    """
    process = psutil.Process(web.pid)

    def held() -> int:
        return sum(one.status == "ESTABLISHED" and one.laddr.port == web_port for one in process.net_connections())

    slow = [_slow(port, "127.0.0.2", f"9.9.9.{n}") for n in range(40)] + [_slow(port, "127.0.0.3", "9.9.9.9") for _ in range(5)]
    until(lambda: held() >= len(slow), what="the bodies arrive")
    most = held()
    # Longer than any look at those that make no progress.
    time.sleep(4)
    refused = most - held()
    for peer in slow:
        peer.close()
    return refused


def _slow(port: int, source: str, forged: str) -> socket.socket:
    peer = socket.create_connection(("127.0.0.1", port), source_address=(source, 0))
    peer.sendall(
        f"POST {HOOK} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-Forwarded-For: {forged}\r\nContent-Length: 30000\r\n\r\n".encode()
        + bytes(6000)
    )
    return peer


def _source(stack: Stack, start: _Start, program: str) -> tuple[str, object, bool]:
    """Whom the web would take for the source of a request whose sender writes another name: what a proxy sends on is read here instead of there."""
    with socket.create_server(("127.0.0.1", 0)) as upstream:
        port = a_free_port()
        proxy = start(program, stack, port, upstream.getsockname()[1])
        until(lambda: _connects(port), what="the proxy listens")
        peer = socket.create_connection(("127.0.0.1", port), source_address=("127.0.0.2", 0))
        forged = "X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-For: 8.8.8.8, 127.0.0.1"
        peer.sendall(f"POST {HOOK} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{forged}\r\nContent-Length: 0\r\n\r\n".encode())
        upstream.settimeout(10)
        taken, _ = upstream.accept()
        lines = taken.recv(65536).split(b"\r\n")[1:]
        taken.close()
        peer.close()
        proxy.stop()
    headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
    found = Sources("127.0.0.1").of("127.0.0.1", headers)
    return "the source of who writes another's name", found, found == "127.0.0.2"


def _connects(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _pages(stack: Stack, start: _Start, program: str) -> Iterator[tuple[str, object, bool]]:
    """The pages through a proxy. The chat page, which asks for no password, is for this machine alone."""
    web = _web(stack, hooks_only=False)
    proxy, port = _up(start, program, stack, stack.web_port)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        answers = {
            path: client.get(path).status_code for path in ("/admin/sign-in", "/static/admin.css", "/chat", "/chat/events?contact=a")
        }
        yield "pages", answers, list(answers.values()) == [200, 200, 404, 404]
    proxy.stop()
    web.stop()


def _try(stack: Stack, program: str, name: str) -> Iterator[tuple[str, object, bool]]:
    hooks, pages = _PROXIES[name]
    yield from _arrivals(stack, hooks, program, name)
    yield _source(stack, hooks, program)
    yield from _pages(stack, pages, program)


def main() -> None:
    """Try each proxy that is there."""
    parser = report.arguments(__doc__ or "")
    parser.add_argument("--nginx", default=shutil.which("nginx") or "/usr/sbin/nginx")
    parser.add_argument("--caddy", default=shutil.which("caddy") or "/usr/bin/caddy")
    given = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for name, program in (("nginx", given.nginx), ("caddy", given.caddy)):
        if not os.access(program, os.X_OK):
            print(f"{name}: not here ({program}); left out")
            continue
        folder = tempfile.TemporaryDirectory(prefix="chinwag-bench-")
        with folder as top, Cluster(Path(top)) as cluster:
            work = Path(top) / "stack"
            work.mkdir()
            with Stack(cluster, work, settings={"CHINWAG_LOG_LEVEL": "info"}) as stack:
                rows += [{"proxy": name, "case": case, "found": found, "holds": holds} for case, found, holds in _try(stack, program, name)]
    if not rows:
        raise SystemExit("neither nginx nor Caddy is here: give the program's place")
    report.table(rows, ["proxy", "case", "found", "holds"])
    report.keep("proxies", {"rows": rows}, given.json)


if __name__ == "__main__":
    main()
