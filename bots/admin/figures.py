"""Home's numbers, read at most every few seconds in one process. Synchronous."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from uuid import UUID

from sqlalchemy import Engine

from bots.storage import figures
from bots.storage.database import hot
from bots.storage.figures import Figures, Span

#: However many look at the home page: Postgres counts once in this time.
_FRESH_S = 5.0
_MOST_KEPT = 100


class Numbers:
    """Reads figures and keeps them for a moment."""

    def __init__(self, *, crossing: Engine, clock: Callable[[], float] = time.monotonic) -> None:
        self._crossing, self._clock = crossing, clock
        self._lock = threading.Lock()
        self._kept: dict[tuple[UUID, Span], tuple[float, Figures]] = {}

    def read(self, tenant: UUID, span: Span) -> Figures:
        """Return the figures of a span, at most five seconds old. Raises StorageUnavailable."""
        key = (tenant, span)
        # Who comes while another counts waits for those numbers.
        with self._lock:
            known = self._kept.get(key)
            if known is not None and self._clock() - known[0] < _FRESH_S:
                return known[1]
            with hot(self._crossing) as connection:
                found = figures.read(connection, tenant=tenant, span=span)
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            self._kept[key] = (self._clock(), found)
            return found
