"""llama.cpp's own HTTP server as the chat engine: `python -m inference.engines.llamacpp --model FILE --alias NAME --port P`.

The only file that imports xllamacpp. The engine lives in this process and ends with it; a broken model file ends it with code 2 and one line.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import importlib
import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from inference.errors import EngineFailed

_MAGIC = b"GGUF"
#: llama.cpp's scale; 2 and below: errors and warnings. Above, it writes about requests.
_QUIET = 2
_ASK_S = 2.0
_REASON = re.compile(r"error loading model: (?:llama_model_loader: )?([^\n]{1,200})|(couldn't bind[^\n]{1,100})")
_METRIC = re.compile(r"^(llamacpp:\w+)(?:\{[^}]*\})? (\S+)$", re.MULTILINE)


def usable_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class LlamaCpp:
    """One model in llama.cpp's server, on loopback; an Engine."""

    def __init__(self, model: Path, *, alias: str, port: int = 0, threads: int = 0, context: int = 8192, slots: int = 4) -> None:
        self._model = model
        self._alias = alias
        self._port = port
        # One thread fewer than cores: with as many as busy cores it takes 63 s for what one does in 2 s.
        self._threads = threads or max(1, usable_cores() - 1)
        self._context = context
        self._slots = slots
        self._server: Any = None
        self._host = ""

    def start(self) -> str:
        """Load the model and return the base address, without /v1. Raises EngineFailed when it cannot."""
        self._look_at_file()
        try:
            xllamacpp: Any = importlib.import_module("xllamacpp")
        except ImportError as error:
            raise EngineFailed("the package xllamacpp is not installed here: make install") from error
        try:
            self._server = xllamacpp.Server(self._parameters(xllamacpp))
        except (RuntimeError, ValueError) as error:
            raise EngineFailed(f"{self._model}: llama.cpp cannot serve it") from error
        url = str(self._server.listening_address).rstrip("/")
        self._host = urlsplit(url).netloc
        return url

    def ready(self) -> bool:
        """Whether a request would be answered now: one token is asked for, since a health page alone is no proof."""
        body = f'{{"model":"{self._alias}","messages":[{{"role":"user","content":"Hi"}}],"max_tokens":1}}'
        return self._ask("POST", "/v1/chat/completions", body, timeout_s=30.0)[0] == 200

    def drain(self, timeout_s: float) -> bool:
        """Wait until no request is running; return whether that came in time."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            figures = self.metrics()
            if not figures.get("llamacpp:requests_processing") and not figures.get("llamacpp:requests_deferred"):
                return True
            time.sleep(0.1)
        return False

    def metrics(self) -> Mapping[str, float]:
        """Return llama.cpp's own figures by name; none while it is not ready."""
        status, text = self._ask("GET", "/metrics", None, timeout_s=_ASK_S)
        return {name: float(value) for name, value in _METRIC.findall(text)} if status == 200 else {}

    def _look_at_file(self) -> None:
        try:
            with self._model.open("rb") as file:
                magic = file.read(len(_MAGIC))
        except OSError as error:
            raise EngineFailed(f"{self._model}: the model file cannot be read ({error.strerror})") from error
        if magic != _MAGIC:
            raise EngineFailed(f"{self._model}: this is no model file in GGUF form")

    def _parameters(self, xllamacpp: Any) -> Any:
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(self._model)
        parameters.model_alias = {self._alias}
        parameters.n_ctx = self._context
        parameters.n_parallel = self._slots
        # All slots share the context: one long conversation may take what the others leave.
        parameters.kv_unified = True
        parameters.port = self._port
        parameters.hostnames = ["127.0.0.1"]
        parameters.endpoint_metrics = True
        parameters.ui = False
        # No web page of another origin may talk to it through the operator's browser.
        parameters.cors_origins = ""
        parameters.cache_ram_mib = 64
        parameters.verbosity = _QUIET
        for pool in (parameters.cpuparams, parameters.cpuparams_batch):
            pool.n_threads = self._threads
            # Waiting threads sleep instead of spinning.
            pool.poll = 0
        return parameters

    def _ask(self, method: str, path: str, body: str | None, *, timeout_s: float) -> tuple[int, str]:
        connection = http.client.HTTPConnection(self._host, timeout=timeout_s)
        try:
            connection.request(method, path, body, {"content-type": "application/json"})
            response = connection.getresponse()
            return response.status, response.read(1024 * 1024).decode("utf-8", "replace")
        except (OSError, http.client.HTTPException):
            return 0, ""
        finally:
            connection.close()


@contextlib.contextmanager
def _stderr_into(file: IO[bytes]) -> Generator[None]:
    """Send what llama.cpp writes to standard error into the file for a while: a dozen lines where one says it."""
    sys.stderr.flush()
    kept = os.dup(2)
    os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _reason(said: IO[bytes]) -> str:
    """Return llama.cpp's own reason out of what it wrote, if it gave one."""
    said.seek(0)
    found = _REASON.search(said.read(64 * 1024).decode("utf-8", "replace"))
    return f": {found[1] or found[2]}" if found else ""


def _quit(_number: int, _frame: object) -> None:
    # llama.cpp has no stop method; its threads end with the process.
    os._exit(0)


def main() -> None:
    """Serve the model until SIGTERM; exit code 2 and one line when it cannot be served."""
    parser = argparse.ArgumentParser(prog="python -m inference.engines.llamacpp", description="Serves a GGUF model on loopback.")
    parser.add_argument("--model", type=Path, required=True, help="the GGUF file")
    parser.add_argument("--alias", required=True, help="the model's name for requests")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--threads", type=int, default=0, help="0: one fewer than there are cores")
    parser.add_argument("--ctx", type=int, default=8192, help="context in tokens, shared by all requests")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, _quit)
    signal.signal(signal.SIGINT, _quit)
    engine = LlamaCpp(given.model, alias=given.alias, port=given.port, threads=given.threads, context=given.ctx)
    try:
        with tempfile.TemporaryFile() as said, _stderr_into(said):
            try:
                url = engine.start()
            except EngineFailed as error:
                raise EngineFailed(f"{error}{_reason(said)}") from error
    except EngineFailed as error:
        print(error, file=sys.stderr, flush=True)  # noqa: T201 - a command line prints
        # Not sys.exit: threads of a half-started engine must not keep the process.
        os._exit(2)
    print(f"Listening on {url}", flush=True)  # noqa: T201 - whoever started it reads this line
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
