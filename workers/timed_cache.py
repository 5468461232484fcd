"""A cache for values that a process may use for a while: one thread reads an old value again while the others go on with the old one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


class TimedCache(Generic[_Key, _Value]):
    """Values by key, each read again once it is older than fresh_s. Safe between threads."""

    def __init__(self, *, fresh_s: float, stale_s: float, most: int = 10_000, clock: Callable[[], float] = time.monotonic) -> None:
        self._fresh_s, self._stale_s, self._most, self._clock = fresh_s, stale_s, most, clock
        self._lock = threading.Lock()
        self._known: dict[_Key, tuple[float, _Value]] = {}

    def get(self, key: _Key, read: Callable[[], _Value]) -> _Value:
        """Return the value. A thread waits for another one's read only when there is no value, or one older than stale_s.

        Raises what read raises.
        """
        known = self._known.get(key)
        age_s = float("inf") if known is None else self._clock() - known[0]
        if known is not None and age_s < self._fresh_s:
            return known[1]
        if not self._lock.acquire(blocking=age_s > self._stale_s) and known is not None:
            return known[1]
        try:
            return self._read(key, read)
        finally:
            self._lock.release()

    def _read(self, key: _Key, read: Callable[[], _Value]) -> _Value:
        known = self._known.get(key)
        if known is not None and self._clock() - known[0] < self._fresh_s:
            return known[1]
        value = read()
        if len(self._known) >= self._most:
            self._known.clear()
        self._known[key] = (self._clock(), value)
        return value
