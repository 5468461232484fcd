"""An engine as a child process: its log says how far its start has come, and it is ready once it has answered one token.

The log holds nothing that people wrote: the engines are told not to log it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from inference.engines import child
from inference.engines.asking import KEYLESS, REFUSED, SILENT, TOKEN_S, Asking, wait_idle
from inference.engines.base import Reason, Step
from inference.engines.loading import Tail, end_of
from inference.errors import EngineFailed


class EngineProcess(ABC):
    """An Engine on this host. Start it from the main thread. Each kind knows its command and what its log means."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        url: str,
        model: str,
        slots: int,
        log: Path,
        env: Mapping[str, str],
        cwd: Path | None = None,
        api_key: str = "",
        token_s: float = TOKEN_S,
    ) -> None:
        self.command = list(command)
        #: Its address without /v1; the model's name in requests; how many requests it runs at once.
        self.url, self.model, self.slots = url, model, slots
        self.log = log
        self._env, self._cwd = dict(env), cwd
        self._token_s = token_s
        self._asking = Asking(url, api_key=api_key)
        self._child: child.Child | None = None
        self._tail = Tail(log)
        self._last: Step | None = None
        self._steps: deque[Step] = deque()
        self._status, self._served = 0, False

    @abstractmethod
    def read_step(self, line: str) -> Step | None:
        """What one line of its log says about how far its start has come, or None."""

    @abstractmethod
    def read_end(self, said: str, code: int | None, *, served: bool) -> Reason:
        """Why it ended, from the end of its log and its exit code."""

    def start(self) -> str:
        """Start the process and return the base address. Raises EngineFailed when it cannot be started."""
        try:
            self._child = child.start(self.command, log=self.log, env=self._env, cwd=self._cwd)
        except OSError as error:
            raise EngineFailed(f"{self.log} cannot be written: {error.strerror}") from error
        self._tail, self._last, self._steps = Tail(self.log), None, deque()
        self._status, self._served = 0, False
        return self.url

    def step(self) -> Step | None:
        """How far the start has come, one step after the other, each change once."""
        for line in self._tail.lines():
            step = self.read_step(line)
            if step is not None and step != self._last:
                self._steps.append(step)
                self._last = step
        return self._steps.popleft() if self._steps else None

    def ready(self) -> bool:
        """Whether it answered one token. The health page is asked first: it opens late, and the engine may still fail after that.

        A slow page proves nothing either way; the token has its own, longer deadline.
        """
        if self._asking.health() not in {200, SILENT}:
            return False
        self._status = self._asking.one_token(self.model, timeout_s=self._token_s)
        self._served = self._served or self._status == 200
        return self._status == 200

    def alive(self) -> bool:
        """Whether its process runs and did not refuse the first token, which it would go on refusing."""
        return self._runs() and not self._refuses()

    def reason(self) -> Reason:
        """Why it ended, or why its one token does not come."""
        if not self._runs():
            return self.read_end(end_of(self.log), self._child.code() if self._child else None, served=self._served)
        if not self._refuses():
            return Reason(message="the engine runs but does not answer", known=False)
        if self._status in KEYLESS:
            message = (
                "the engine asks for a key that it was not given: name the key file with CHINWAG_MODEL_KEY_FILE, or start it without a key"
            )
            return Reason(message=f"{message} (--api-key, VLLM_API_KEY)", lasting=True)
        named = ", ".join(self._asking.models()[1]) or "none"
        message = f"the engine does not chat as {self.model} (status {self._status}, its models: {named})"
        return Reason(message=f"{message}: a model without a chat template needs one with --chat-template", lasting=True)

    def drain(self, timeout_s: float) -> bool:
        """Wait until no request runs or waits; return whether that happened in time."""
        return wait_idle(self.metrics, timeout_s)

    def stop(self, grace_s: float) -> None:
        """Ask it to end, and end all its processes when the grace is over."""
        if self._child is not None:
            if grace_s > 0:
                self._child.terminate()
            self._child.end(grace_s)

    def metrics(self) -> Mapping[str, float]:
        """Return its own metrics by name; none while it is not ready."""
        return self._asking.metrics() if self._runs() else {}

    def _runs(self) -> bool:
        return self._child is not None and self._child.alive()

    def _refuses(self) -> bool:
        return not self._served and self._status in REFUSED
