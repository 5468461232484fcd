"""An engine as a child process of ours: its log is read for how far it is, and it is ready once it has answered one token.

The log is a file of ours and holds no words of people: the engines are told to write none.
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
    """One engine on this host; an Engine. Start it from the main thread. Each kind knows its command, and what its log means."""

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
        #: Where it answers, without /v1; the name that requests call the model by; how many requests it works on at once.
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
        """What one line of its log says about how far its start has come; None: nothing."""

    @abstractmethod
    def read_end(self, said: str, code: int | None, *, served: bool) -> Reason:
        """Why it ended, by the end of its log and its exit code."""

    def start(self) -> str:
        """Start the process and return the base address. Raises EngineFailed when there is nothing to start."""
        try:
            self._child = child.start(self.command, log=self.log, env=self._env, cwd=self._cwd)
        except OSError as error:
            raise EngineFailed(f"{self.log} cannot be written: {error.strerror}") from error
        self._tail, self._last, self._steps = Tail(self.log), None, deque()
        self._status, self._served = 0, False
        return self.url

    def step(self) -> Step | None:
        """How far the start has come: one step after the other, each change once."""
        for line in self._tail.lines():
            step = self.read_step(line)
            if step is not None and step != self._last:
                self._steps.append(step)
                self._last = step
        return self._steps.popleft() if self._steps else None

    def ready(self) -> bool:
        """Whether one token came. The health page is asked first: it opens late, and what opens it may still be doomed.

        A page that is slow proves nothing either way; the token has its own, longer time.
        """
        if self._asking.health() not in {200, SILENT}:
            return False
        self._status = self._asking.one_token(self.model, timeout_s=self._token_s)
        self._served = self._served or self._status == 200
        return self._status == 200

    def alive(self) -> bool:
        """Whether its process runs, and did not refuse its first token: it would go on to."""
        return self._runs() and not self._refuses()

    def reason(self) -> Reason:
        """Why it ended, or why its one token does not come."""
        if not self._runs():
            return self.read_end(end_of(self.log), self._child.code() if self._child else None, served=self._served)
        if not self._refuses():
            return Reason(words="the engine runs and does not answer", known=False)
        if self._status in KEYLESS:
            words = "the engine wants a key that it was not asked with: name its file with CHINWAG_MODEL_KEY_FILE, or give it none"
            return Reason(words=f"{words} (--api-key, VLLM_API_KEY)", lasting=True)
        named = ", ".join(self._asking.models()[1]) or "none"
        words = f"the engine does not chat as {self.model} (status {self._status}, its models: {named})"
        return Reason(words=f"{words}: a model without a chat template wants one with --chat-template", lasting=True)

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
        """Return its own figures by name; none while it is not ready."""
        return self._asking.metrics() if self._runs() else {}

    def _runs(self) -> bool:
        return self._child is not None and self._child.alive()

    def _refuses(self) -> bool:
        return not self._served and self._status in REFUSED
