"""vLLM as a child process, started from a command. The child imports torch and vllm; nothing here does.

vLLM logs prompts only when it is told to; here it is told not to.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from inference.engines.asking import TOKEN_S
from inference.engines.base import Reason, Step
from inference.engines.loading import step_of
from inference.engines.process import EngineProcess
from inference.engines.reasons import model_of, option, reason_of, spelt
from inference.errors import EngineFailed

_HOST = "127.0.0.1"
#: vLLM's default for most GPUs. It is set explicitly, since others have another default and a worker must know its engine's slots.
_SLOTS = 256
_DRAIN_S = 30
#: With these options it does not listen on plain HTTP.
_ELSEWHERE = ("--ssl-certfile", "--ssl-keyfile", "--uds")
_NUMBERS = ("--port", "--max-num-seqs", "--data-parallel-size")


class Vllm(EngineProcess):
    """One `vllm serve` on this host."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str],
        cwd: Path | None = None,
        api_key: str = "",
        token_s: float = TOKEN_S,
    ) -> None:
        """The command starts vLLM with its arguments; what a service needs besides is added. Raises EngineFailed where it cannot be served."""
        whole = completed(command)
        super().__init__(
            whole,
            url=_url(whole),
            model=(option(whole, "--served-model-name") or model_of(whole) or "").split(" ")[0],
            slots=slots_of(whole),
            log=log,
            env=env,
            cwd=cwd,
            api_key=api_key,
            token_s=token_s,
        )

    def read_step(self, line: str) -> Step | None:
        """What one line of vLLM's log says about how far its start has come."""
        return step_of(line)

    def read_end(self, said: str, code: int | None, *, served: bool) -> Reason:
        """Why it ended, from the end of its log and its exit code."""
        return reason_of(said, self.command, code=code, served=served)


def completed(command: Sequence[str]) -> list[str]:
    """Add to the command what a service needs and it lacks: loopback, a port, slots, a drain, and a log without requests.

    Raises EngineFailed where it has an option that a service cannot use.
    """
    found = list(command)
    wanted = {
        "--host": _HOST,
        "--port": None,
        "--served-model-name": model_of(command) or "",
        "--max-num-seqs": str(_SLOTS),
        "--shutdown-timeout": str(_DRAIN_S),
    }
    for name, value in wanted.items():
        if option(found, name) is None:
            found += [name, value if value is not None else str(_free_port())]
    for name in _ELSEWHERE:
        if option(found, name) is not None:
            raise EngineFailed(
                f"{name}: an engine that is started here is called over plain HTTP; leave the option out, or start the engine yourself and use --attach"
            )
    for name in _NUMBERS:
        value = option(found, name) or "1"
        if not value.isdecimal() or int(value) < 1:
            raise EngineFailed(f"{name} must be a number of at least 1, not {value!r}")
    # In any case, what people write stays out of the log, and so does a line for each request.
    found = [argument for argument in found if spelt(argument) != "--enable-log-requests"]
    return found + [flag for flag in ("--no-enable-log-requests", "--disable-uvicorn-access-log") if option(found, flag) is None]


def slots_of(command: Sequence[str]) -> int:
    """How many requests the engine of a completed command runs at once: its --max-num-seqs for each data-parallel rank."""
    return int(option(command, "--max-num-seqs") or 1) * int(option(command, "--data-parallel-size") or 1)


def _url(command: Sequence[str]) -> str:
    host = option(command, "--host") or _HOST
    return f"http://{_HOST if host in {'0.0.0.0', '::'} else host}:{option(command, '--port')}"  # noqa: S104 - compared, not bound


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])
