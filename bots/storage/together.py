"""Calls that go together: those that come while a transaction of their kind runs are gathered, and share the next one.

Guarantee: each caller gets its own result, or the error of the transaction that it was in. A transaction that hangs holds up nobody else for long.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

_Given = TypeVar("_Given")
_Made = TypeVar("_Made")

#: A transaction that has not ended after this time hangs, and another one begins beside it.
_HANGS_S = 1.0
#: How many run side by side at most, not counting those that hang.
_BESIDE = 3
#: A transaction costs as much as what three calls do in it. So up to two hundred calls a second wait for nobody, and more gather while it is worth it: until
#: these are together, for so long after the last transaction began (for each of its calls, and at most).
_ENOUGH, _GATHER_S, _LONGEST_GATHER_S = 12, 0.005, 0.02


class Together(Generic[_Given, _Made]):
    """Calls of one kind, from all threads of a process. One transaction runs at a time, in the thread of one of its callers; more only where calls come
    faster than it can do them.
    """

    def __init__(self, run: Callable[[Sequence[_Given]], Sequence[_Made]], *, most: int, gather_s: float = _GATHER_S) -> None:
        """`run` does several, at most so many, and returns what came of each in their order.

        gather_s: after a transaction of n calls the next one begins no sooner than n times this after it began, unless enough calls wait; and never
        later than _LONGEST_GATHER_S. So few calls wait for nobody, and many gather.
        """
        self._run, self._most, self._gather_s = run, most, gather_s
        self._lock = threading.Lock()
        self._waiting = deque[_Call[_Given, _Made]]()
        #: When each transaction that runs began, or was given to its thread.
        self._begun: dict[_Call[_Given, _Made], float] = {}
        self._next_at = 0.0
        #: The call that leads the next transaction, while it waits for others.
        self._gathering: _Call[_Given, _Made] | None = None

    def call(self, given: _Given) -> _Made:
        """Do it, together with what others want done. Raises what the transaction raised."""
        mine = _Call[_Given, _Made](given)
        with self._lock:
            if leads := self._is_free():
                self._begun[mine] = time.monotonic()
            else:
                self._waiting.append(mine)
                if self._gathering is not None and self._is_enough():
                    self._gathering.woken.release()
                    self._gathering = None
        if leads or self._is_to_lead(mine):
            self._lead(mine)
        return mine.result()

    def waiting(self) -> int:
        """How many calls wait for the transaction that runs."""
        return len(self._waiting)

    def _is_free(self) -> bool:
        """Whether another transaction may begin: none runs but such as hang, or so many calls wait that it would be full."""
        now = time.monotonic()
        running = sum(now - began <= _HANGS_S for began in self._begun.values())
        return running == 0 or (running < _BESIDE and len(self._waiting) >= self._most)

    def _is_enough(self) -> bool:
        return len(self._waiting) + 1 >= min(_ENOUGH, self._most)

    def _is_to_lead(self, mine: _Call[_Given, _Made]) -> bool:
        """Wait until another thread has done it (False), or this one is to do it and those that have come since."""
        if not mine.woken.acquire(timeout=_HANGS_S):
            with self._lock:
                if mine in self._waiting:
                    self._waiting.remove(mine)
                    self._begun[mine] = time.monotonic()
                    return True
            # It is in a transaction, or about to lead one.
            mine.woken.acquire()
        return not mine.has_ended

    def _gather(self, mine: _Call[_Given, _Made]) -> None:
        """Wait for others, if it is worth it."""
        with self._lock:
            pause_s = self._next_at - time.monotonic()
            if pause_s <= 0 or self._gathering is not None or self._is_enough():
                return
            self._gathering = mine
        mine.woken.acquire(timeout=pause_s)
        with self._lock:
            if self._gathering is mine:
                self._gathering = None

    def _lead(self, mine: _Call[_Given, _Made]) -> None:
        self._gather(mine)
        with self._lock:
            group = [mine, *(self._waiting.popleft() for _ in range(min(len(self._waiting), self._most - 1)))]
        self._next_at = time.monotonic() + min(self._gather_s * len(group), _LONGEST_GATHER_S)
        error: BaseException | None = None
        made: Sequence[_Made] = ()
        try:
            made = self._run([call.given for call in group])
            assert len(made) == len(group)
        except BaseException as raised:  # noqa: BLE001 - each caller raises it in its own thread
            error = raised
        with self._lock:
            del self._begun[mine]
            following = self._waiting.popleft() if self._waiting and self._is_free() else None
            if following is not None:
                self._begun[following] = time.monotonic()
        if following is not None:
            following.woken.release()
        for n, call in enumerate(group):
            call.end(made[n] if error is None else None, error)
            if call is not mine:
                call.woken.release()


class _Call(Generic[_Given, _Made]):
    """One call, and what came of it."""

    def __init__(self, given: _Given) -> None:
        self.given = given
        #: Held while its thread has nothing to do.
        self.woken = threading.Lock()
        self.woken.acquire()
        self.has_ended = False
        self._made: _Made | None = None
        self._error: BaseException | None = None

    def end(self, made: _Made | None, error: BaseException | None) -> None:
        self._made, self._error, self.has_ended = made, error, True

    def result(self) -> _Made:
        if self._error is not None:
            raise self._error
        return self._made  # pyright: ignore[reportReturnType] - only an error leaves it unset
