"""The numbers of the home page."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from bots.admin.acting import Operator
from bots.admin.deps import Deps
from bots.storage import attention, figures, overview, usage
from bots.storage.attention import TroubleKind
from bots.storage.database import hot
from bots.storage.figures import Figures, Span
from bots.storage.overview import Overview

#: Postgres counts once in this time, however many people have the home page open.
_FRESH_S = 5.0
_MOST_STORED = 100


class FigureCache:
    """Figures of the last five seconds, for one process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._stored: dict[tuple[UUID, Span], tuple[float, Figures]] = {}

    def get(self, tenant: UUID, span: Span, count: Callable[[], Figures]) -> Figures:
        """Return stored figures, or count again. Whoever asks during a count waits for its numbers."""
        with self._lock:
            known = self._stored.get((tenant, span))
            if known is not None and self._clock() - known[0] < _FRESH_S:
                return known[1]
            found = count()
            if len(self._stored) >= _MOST_STORED:
                self._stored.clear()
            self._stored[tenant, span] = (self._clock(), found)
            return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """What the home page shows besides the figures."""

    overview: Overview
    troubles: dict[TroubleKind, int]
    #: This month, of all bots, in USD.
    spent: float


def read(deps: Deps, operator: Operator, span: Span, *, cache: FigureCache) -> Figures:
    """Return the figures of a span, at most five seconds old. Raises StorageUnavailable."""

    def count() -> Figures:
        with hot(deps.crossing) as connection:
            return figures.read(connection, tenant=operator.tenant_id, span=span)

    return cache.get(operator.tenant_id, span, count)


def glance(deps: Deps, operator: Operator) -> Glance:
    """Read the state of the service, what needs attention, and this month's cost. Raises StorageUnavailable."""
    tenant = operator.tenant_id
    with hot(deps.crossing) as connection:
        return Glance(
            troubles=attention.count(connection, tenant=tenant),
            overview=overview.read(connection, tenant=tenant),
            spent=usage.spent_by_all(connection, tenant=tenant),
        )
