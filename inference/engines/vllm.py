"""vLLM as a child process: started from a command, its log read for how far it is, ready once it has answered one token.

The child imports torch and vllm; nothing here does. Its log is a file of ours, and holds no words of people: vLLM writes prompts into it only
when it is told to, and is told not to.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from inference.engines import child
from inference.engines.asking import SILENT, TOKEN_S, Asking, wait_idle
from inference.engines.base import Reason, Step
from inference.engines.loading import Tail, kv_tokens, step_of
from inference.engines.reasons import model_of, option, reason_of
from inference.errors import EngineFailed

_HOST = "127.0.0.1"
#: vLLM's own default for large GPUs, per data-parallel rank.
_DEFAULT_SLOTS = 1024
#: After this the engine's processes are killed, whatever its own drain still waits for.
_BEYOND_DRAIN_S = 15.0
_DRAIN_S = 30


class Vllm:
    """One `vllm serve` on this host; an Engine. Start it from the main thread."""

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
        """The command is whole: what starts vLLM, and its arguments; what it lacks for a service is added."""
        self.command = completed(command)
        self.log = log
        self._env, self._cwd = dict(env), cwd
        self._token_s = token_s
        self._child: child.Child | None = None
        self._tail = Tail(log)
        self._last: Step | None = None
        self._steps: deque[Step] = deque()
        self._asking = Asking(self.url, api_key=api_key)

    @property
    def url(self) -> str:
        """The base address, without /v1."""
        host = option(self.command, "--host") or _HOST
        return f"http://{_HOST if host in {'0.0.0.0', '::'} else host}:{option(self.command, '--port')}"  # noqa: S104 - compared, not bound

    @property
    def model(self) -> str:
        """The name that requests call the model by."""
        return (option(self.command, "--served-model-name") or model_of(self.command) or "").split(" ")[0]

    @property
    def slots(self) -> int:
        """How many requests it works on at once, over all data-parallel ranks behind its address."""
        return slots_of(self.command)

    @property
    def kv_tokens(self) -> int | None:
        """How many tokens of conversations it holds, by its own word; None before it has said so."""
        return kv_tokens(self._said())

    def start(self) -> str:
        """Start the process and return the base address. Raises EngineFailed when there is nothing to start."""
        try:
            self._child = child.start(self.command, log=self.log, env=self._env, cwd=self._cwd)
        except OSError as error:
            raise EngineFailed(f"{self.log} cannot be written: {error.strerror}") from error
        self._tail, self._last, self._steps = Tail(self.log), None, deque()
        return self.url

    def step(self) -> Step | None:
        """How far the start has come: one step after the other, each change once."""
        for line in self._tail.lines():
            step = step_of(line)
            if step is not None and step != self._last:
                self._steps.append(step)
                self._last = step
        return self._steps.popleft() if self._steps else None

    def ready(self) -> bool:
        """Whether one token came. The health page is asked first: it opens late, and what opens it may still be doomed.

        A page that is slow proves nothing either way; the token has its own, longer time.
        """
        return self._asking.health() in {200, SILENT} and self._asking.one_token(self.model, timeout_s=self._token_s) == 200

    def alive(self) -> bool:
        """Whether its process runs."""
        return self._child is not None and self._child.alive()

    def reason(self) -> Reason:
        """Why it ended, or why its one token does not come."""
        if self.alive():
            return Reason(words="the engine runs and does not answer", known=False)
        return reason_of(self._said(), self.command, code=self._child.code() if self._child else None)

    def drain(self, timeout_s: float) -> bool:
        """Wait until no request runs or waits; return whether that came in time."""
        return wait_idle(self.metrics, timeout_s)

    def stop(self, grace_s: float) -> None:
        """Ask it to end, and end all its processes when the grace is over."""
        if self._child is not None:
            if grace_s > 0:
                self._child.terminate()
            self._child.end(grace_s)

    def metrics(self) -> Mapping[str, float]:
        """Return vLLM's own figures by name, over all data-parallel ranks; none while it is not ready."""
        return self._asking.metrics() if self.alive() else {}

    def _said(self) -> str:
        try:
            return self.log.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""


def completed(command: Sequence[str]) -> list[str]:
    """The command with what a service needs and it does not say itself: loopback, a port, a drain, and a log without requests."""
    found = list(command)
    wanted = {
        "--host": _HOST,
        "--port": None,
        "--served-model-name": model_of(command) or "",
        "--shutdown-timeout": str(_DRAIN_S),
    }
    for name, value in wanted.items():
        if option(found, name) is None:
            found += [name, value if value is not None else str(_free_port())]
    # Whatever stood before: what people write stays out of the log, and so does a line for each request.
    found = [argument for argument in found if argument.replace("_", "-") != "--enable-log-requests"]
    return found + [flag for flag in ("--no-enable-log-requests", "--disable-uvicorn-access-log") if option(found, flag) is None]


def slots_of(command: Sequence[str]) -> int:
    """How many requests a command's engine works on at once: its --max-num-seqs for each data-parallel rank."""
    each = _number(option(command, "--max-num-seqs"), _DEFAULT_SLOTS)
    return each * _number(option(command, "--data-parallel-size"), 1)


def _number(text: str | None, default: int) -> int:
    return int(text) if text and text.isdigit() and int(text) > 0 else default


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])
