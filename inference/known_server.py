"""What this process knows of a model server: whether it may be asked now, how many calls run there, and the context that it named.

Guarantee: a server that says when to ask again is not asked before, by any thread, and nobody sleeps for it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from inference.client import Breaker
from inference.errors import ModelBusy, OutOfQuota

#: A server is never left alone for longer, whatever it says.
_LONGEST_PAUSE_S = 3600.0
#: How long an empty account is left alone when its server does not say; doubled each time, since an operator has to fix it.
_QUOTA_PAUSE_S, _LONGEST_QUOTA_PAUSE_S = 60.0, 900.0
#: How long a context counts that the server named in a refusal. It may be started again with a larger one.
_CONTEXT_S = 3600.0


class KnownServer:
    """A model server as this process sees it; safe between threads. Endpoints of several tenants may lead to it."""

    def __init__(self, breaker: Breaker, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.breaker = breaker
        #: Calls of this process that are running there.
        self.load = 0
        #: The form of thoughts that a watched answer showed, where no probe or catalog names one: the next is hidden while it grows.
        self.thoughts = ""
        self._clock = clock
        self._lock = threading.Lock()
        self._paused_until = 0.0
        #: The class of the error that began the pause.
        self._why: type[ModelBusy | OutOfQuota] = ModelBusy
        self._empty_in_a_row = 0
        self._context, self._context_until = 0, 0.0

    @property
    def is_ready(self) -> bool:
        """Whether a call would be made now: its breaker lets it through, and no pause that the server asked for is running."""
        return self.breaker.is_ready and self._clock() >= self._paused_until

    @property
    def context(self) -> int:
        """The context that the server named when it refused a prompt, in tokens; 0: it named none lately."""
        return self._context if self._clock() < self._context_until else 0

    def enter(self) -> None:
        """Let a call through. Raises what began the pause while that is running, with the time that is left."""
        left_s = self._paused_until - self._clock()
        if left_s <= 0:
            return
        error = self._why("the model server asked not to be called for a while")
        error.retry_after_s, error.asked = left_s, False
        raise error

    def paused(self, error: ModelBusy | OutOfQuota) -> None:
        """Begin the pause that an error asks for; of a server that is full only where it says how long. The error says the length afterwards."""
        with self._lock:
            now = self._clock()
            wanted_s = min(max(error.retry_after_s, 0.0), _LONGEST_PAUSE_S)
            if isinstance(error, OutOfQuota):
                if now >= self._paused_until:
                    # Calls that ran at the same time are told the same: they count once.
                    self._empty_in_a_row += 1
                wanted_s = max(wanted_s, min(_QUOTA_PAUSE_S * 2 ** min(self._empty_in_a_row - 1, 10), _LONGEST_QUOTA_PAUSE_S))
            if now + wanted_s > self._paused_until:
                self._paused_until, self._why = now + wanted_s, OutOfQuota if isinstance(error, OutOfQuota) else ModelBusy
            error.retry_after_s = wanted_s

    def answered(self) -> None:
        """Note that it answered. A pause that runs goes on: the call began before it."""
        if self._empty_in_a_row and self._clock() >= self._paused_until:
            self._empty_in_a_row = 0

    def named(self, context: int) -> None:
        """Note the context that the server named in a refusal."""
        with self._lock:
            self._context, self._context_until = context, self._clock() + _CONTEXT_S

    @contextmanager
    def counted(self) -> Generator[None]:
        """Count a call while it runs."""
        with self._lock:
            self.load += 1
        try:
            yield
        finally:
            with self._lock:
                self.load -= 1
