"""The chat engine on llama.cpp's own HTTP server: `python -m inference.engines.llamacpp --model FILE --alias NAME --port P`.

This is the only file that imports xllamacpp. The server runs in that process and ends with it; with a broken model file it prints one line
and ends with code 2. `LlamaCpp` is the engine that runs such a process.
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
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from inference.engines.asking import TOKEN_S
from inference.engines.base import Reason, Step
from inference.engines.gguf import cache_bytes, check_form
from inference.engines.process import EngineProcess
from inference.errors import EngineFailed

#: Requests at once. More would only share the same few cores.
SLOTS = 4
#: The context of each in tokens: the most, and the least to which it is halved where the memory is small.
CONTEXT, _LEAST_CONTEXT = 8192, 2048
#: This share of the memory that is free may become cache.
_CACHE_SHARE = 0.25
_HOST = "127.0.0.1"
_PROGRAM = "python -m inference.engines.llamacpp"
#: The exit code for errors that another start would meet too.
_REFUSED = 2
#: llama.cpp's scale; 2 and below: errors and warnings. Above, it writes about requests.
_QUIET = 2
_REASON = re.compile(r"error loading model: (?:llama_model_loader: )?([^\n]{1,200})|(couldn't bind[^\n]{1,100})")


def usable_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class LlamaCpp(EngineProcess):
    """llama.cpp's server on a model file, as a child process of this Python."""

    def __init__(
        self,
        model: Path,
        *,
        alias: str,
        port: int,
        log: Path,
        env: Mapping[str, str],
        more: Sequence[str] = (),
        token_s: float = TOKEN_S,
    ) -> None:
        """`more` holds further options of this module's command line."""
        super().__init__(
            command_of(model, alias=alias, port=port, more=more),
            url=f"http://{_HOST}:{port}",
            model=alias,
            slots=SLOTS,
            log=log,
            env=env,
            token_s=token_s,
        )

    def read_step(self, line: str) -> Step | None:
        """Return None: it loads a model file within seconds and logs nothing."""
        del line
        return None

    def read_end(self, said: str, code: int | None, *, served: bool) -> Reason:
        """Why it ended. With code 2, its last line is an error that another start would meet too."""
        last = next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "")
        if code == _REFUSED and not served and last:
            # A port may be free at the next start.
            return Reason(message=last.removeprefix(f"{_PROGRAM}: error: ")[:300], lasting="couldn't bind" not in last)
        return Reason(message=f"llama.cpp ended with code {code}", known=False)


def command_of(model: Path, *, alias: str, port: int, more: Sequence[str] = ()) -> list[str]:
    """The command that serves a model file on loopback."""
    return [sys.executable, "-m", "inference.engines.llamacpp", "--model", str(model), "--alias", alias, "--port", str(port), *more]


def _serve(model: Path, *, alias: str, port: int, threads: int, context: int) -> Any:
    """Load the model in this process and return the server, which ends with its last reference. Raises EngineFailed when it cannot."""
    check_form(model)
    try:
        xllamacpp: Any = importlib.import_module("xllamacpp")
    except ImportError as error:
        raise EngineFailed("the package xllamacpp is not installed here: make install") from error
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(model)
    parameters.model_alias = {alias}
    # Each slot has a context of its own, the one that /v1/models tells. In a shared one, requests that are long together end each other.
    parameters.n_ctx = SLOTS * context
    parameters.n_parallel = SLOTS
    parameters.kv_unified = False
    parameters.port = port
    parameters.hostnames = [_HOST]
    parameters.endpoint_metrics = True
    parameters.ui = False
    # No web page of another origin may talk to it through the operator's browser.
    parameters.cors_origins = ""
    parameters.cache_ram_mib = 64
    parameters.verbosity = _QUIET
    for pool in (parameters.cpuparams, parameters.cpuparams_batch):
        # One thread fewer than cores: with a thread on every busy core it takes 63 s for what one thread does in 2 s.
        pool.n_threads = threads or max(1, usable_cores() - 1)
        # Waiting threads sleep instead of spinning.
        pool.poll = 0
    try:
        return xllamacpp.Server(parameters)
    except (RuntimeError, ValueError) as error:
        raise EngineFailed(f"{model}: llama.cpp cannot serve it") from error


def context_for(model: Path, *, most: int, free_bytes: int) -> int:
    """Return the context of each slot: `most`, halved until the cache of all slots fits into its share of the free memory."""
    context, each = most, SLOTS * cache_bytes(model)
    while context > _LEAST_CONTEXT and context * each > _CACHE_SHARE * free_bytes:
        context = max(_LEAST_CONTEXT, context // 2)
    return context


def free_memory() -> int:
    """Return the bytes of memory that can be used without swapping; without Linux's list of them, a number that limits nothing."""
    try:
        found = re.search(r"^MemAvailable:\s+(\d+) kB$", Path("/proc/meminfo").read_text("ascii"), re.MULTILINE)
    except OSError:
        found = None
    return int(found[1]) * 1024 if found else sys.maxsize


@contextlib.contextmanager
def _stderr_into(file: IO[bytes]) -> Generator[None]:
    """Send llama.cpp's standard error into the file for a while, since one of its dozen lines says enough."""
    sys.stderr.flush()
    saved = os.dup(2)
    os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def _reason(said: IO[bytes]) -> str:
    """Return llama.cpp's own reason from its output, if there is one."""
    said.seek(0)
    found = _REASON.search(said.read(64 * 1024).decode("utf-8", "replace"))
    return f": {found[1] or found[2]}" if found else ""


def _quit(_number: int, _frame: object) -> None:
    # llama.cpp has no stop method; its threads end with the process.
    os._exit(0)


def main() -> None:
    """Serve the model until SIGTERM; exit code 2 and one line when it cannot be served."""
    parser = argparse.ArgumentParser(prog=_PROGRAM, description="Serves a GGUF model on loopback.")
    parser.add_argument("--model", type=Path, required=True, help="the GGUF file")
    parser.add_argument("--alias", required=True, help="the model's name for requests")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--threads", type=int, default=0, help="0: one fewer than there are cores")
    parser.add_argument(
        "--ctx", type=int, default=0, help=f"context in tokens of each request; 0: {CONTEXT}, or less where memory is small"
    )
    given = parser.parse_args()
    context = given.ctx or context_for(given.model, most=CONTEXT, free_bytes=free_memory())
    signal.signal(signal.SIGTERM, _quit)
    signal.signal(signal.SIGINT, _quit)
    try:
        with tempfile.TemporaryFile() as said, _stderr_into(said):
            try:
                server = _serve(given.model, alias=given.alias, port=given.port, threads=given.threads, context=context)
            except EngineFailed as error:
                raise EngineFailed(f"{error}{_reason(said)}") from error
    except EngineFailed as error:
        print(error, file=sys.stderr, flush=True)  # noqa: T201 - a command line prints
        # Not sys.exit, since threads of a half-started engine must not keep the process alive.
        os._exit(_REFUSED)
    print(f"Listening on {str(server.listening_address).rstrip('/')}", flush=True)  # noqa: T201 - whoever started it reads this line
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
