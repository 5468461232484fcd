"""Imports what the service's processes need once, then forks one of them for each request: `python -m tests.support.fork_server FD`.

A process that starts the usual way spends most of a second on imports. A forked one is as real: it can be killed and frozen, its environment,
folder and files are those that were asked for, and the module runs as `__main__`. Requests and answers are JSON on a socket, the files beside them.
"""

from __future__ import annotations

import ast
import ctypes
import gc
import importlib
import json
import os
import pkgutil
import runpy
import signal
import socket
import sys
import time
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_PACKAGES = ("bots", "chinwag", "inference", "wire", "workers")
#: Of other packages what is imported late, by name.
_LATE = (
    "celery.app.amqp",
    "celery.app.control",
    "celery.apps.worker",
    "celery.bin.celery",
    "celery.concurrency.thread",
    "celery.worker.consumer",
    "celery.worker.state",
    "celery.worker.strategy",
    "kombu.transport.redis",
    "pydantic.dataclasses",
    "pydantic.v1",
    "sqlalchemy.dialects.postgresql.psycopg",
    "uvicorn.lifespan.on",
    "uvicorn.loops.uvloop",
    "uvicorn.protocols.http.h11_impl",
    "uvicorn.protocols.http.httptools_impl",
)
#: Reads the environment when it is imported.
_ACTS = ("workers.app",)
_LARGEST = 1 << 20
_PR_SET_PDEATHSIG = 1


def preload() -> None:
    """Import our modules. Of those that are run, which must not be known before, what they import."""
    sys.path.insert(0, str(Path.cwd()))
    for name in _modules():
        spec = find_spec(name)
        source = Path(spec.origin).read_text("utf-8") if spec and spec.origin else ""
        if name in _ACTS or '__name__ == "__main__"' in source:
            for wanted in _imports(source):
                importlib.import_module(wanted)
        else:
            importlib.import_module(name)
    for name in _LATE:
        importlib.import_module(name)
    # What a worker and the web read at their start, and never change.
    importlib.import_module("bots.extract").load()
    importlib.import_module("bots.phrases.book").book()


def _modules() -> Iterator[str]:
    for name in _PACKAGES:
        package = importlib.import_module(name)
        for found in pkgutil.walk_packages(package.__path__, f"{name}."):
            yield found.name


def _imports(source: str) -> Iterator[str]:
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def serve(control: socket.socket, *, interrupt: Any) -> dict[str, Any] | None:
    """Answer requests until the asker is gone. In a forked process, which handles SIGINT as given, return what it is to become."""
    while True:
        data, files, _, _ = socket.recv_fds(control, _LARGEST, 3)
        if not data:
            return None
        request = json.loads(data)
        if "pid" in request:
            found, status = os.waitpid(request["pid"], os.WNOHANG)
            control.send(json.dumps(os.waitstatus_to_exitcode(status) if found else None).encode())
            continue
        server = os.getpid()
        pid = os.fork()
        if not pid:
            control.close()
            signal.signal(signal.SIGINT, interrupt)
            _prepare(request, files, server)
            return request
        for file in files:
            os.close(file)
        control.send(json.dumps(pid).encode())


def _prepare(request: dict[str, Any], files: list[int], server: int) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != server:
        os._exit(1)
    for number, file in enumerate(files):
        os.dup2(file, number)
    for file in files:
        os.close(file)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    if request["env"].get("PYTHONWARNINGS"):
        warnings.simplefilter(request["env"]["PYTHONWARNINGS"])
    sys.path.insert(0, request["cwd"])
    # As `python -m` finds it: what runs as `__main__` is not known by its own name yet.
    if not hasattr(sys.modules.get(request["module"]), "__path__"):
        sys.modules.pop(request["module"], None)
    sys.argv = [request["module"], *request["arguments"]]
    gc.enable()


def main() -> None:
    """Import, serve, and in a forked process run the module that was asked for."""
    # What interrupts a test run ends it in order: the socket closes then. A forked process handles it as one that is started would: one that a
    # shell put into the background ignores it.
    interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.disable()
    preload()
    gc.freeze()
    request = serve(socket.socket(fileno=int(sys.argv[1])), interrupt=interrupt)
    if request is not None:
        runpy.run_module(request["module"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
