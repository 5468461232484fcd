"""llama.cpp's own HTTP server as the chat engine: `python -m inference.engines.llamacpp --model FILE --alias NAME --port P`.

The only file that imports xllamacpp. The engine lives in this process and ends with it; a broken model file ends it with code 2 and one line.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import re
import signal
import sys
import tempfile
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import IO, Any

from inference.engines.asking import Asking, wait_idle
from inference.engines.base import Reason, Step
from inference.errors import EngineFailed

_MAGIC = b"GGUF"
#: llama.cpp's scale; 2 and below: errors and warnings. Above, it writes about requests.
_QUIET = 2
_REASON = re.compile(r"error loading model: (?:llama_model_loader: )?([^\n]{1,200})|(couldn't bind[^\n]{1,100})")


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
        self._asking: Asking | None = None

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
        self._asking = Asking(url)
        return url

    def step(self) -> Step | None:
        """Nothing: start returns when all is loaded."""
        return None

    def ready(self) -> bool:
        """Whether a request would be answered now: one token is asked for, since a health page alone is no proof."""
        return self._asking is not None and self._asking.one_token(self._alias, timeout_s=30.0) == 200

    def alive(self) -> bool:
        """Whether the server in this process listens."""
        return self._asking is not None and self._asking.health() != 0

    def reason(self) -> Reason:
        """Why it does not serve; its threads live and die with this process."""
        return Reason(words="llama.cpp does not answer", known=False)

    def drain(self, timeout_s: float) -> bool:
        """Wait until no request is running; return whether that came in time."""
        return wait_idle(self.metrics, timeout_s)

    def stop(self, grace_s: float) -> None:
        """Wait for what runs: llama.cpp has no stop method, its threads end with this process."""
        self.drain(grace_s)

    def metrics(self) -> Mapping[str, float]:
        """Return llama.cpp's own figures by name; none while it is not ready."""
        return self._asking.metrics() if self._asking is not None else {}

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
