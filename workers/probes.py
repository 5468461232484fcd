"""Measures endpoints that were connected or changed, in the background of a worker process: what they really do becomes their traits.

Guarantee: when a measurement fails, what was known before stays, and the endpoint is measured again.
"""

from __future__ import annotations

import time
from dataclasses import replace
from uuid import UUID

import structlog

from bots.errors import CannotOpen
from bots.storage import endpoints
from bots.storage.endpoints import EndpointRow
from inference.errors import InferenceError
from inference.probe import probe
from workers.deps import Deps
from workers.model_routes import as_endpoint

log = structlog.get_logger()

#: How often a process asks the database for endpoints to measure.
EVERY_S = 5.0
#: After this time another process takes over a probe that was not finished: longer than any probe takes.
_WITHIN_S = 300.0
#: A failed measurement is tried again after this time, and after twice as long each time, since hosted endpoints bill the calls.
_AGAIN_S = 60.0
_LONGEST_AGAIN_S = 1800.0


class Probes:
    """One process's share of the measuring."""

    def __init__(self, deps: Deps, *, again_s: float = _AGAIN_S) -> None:
        self._deps = deps
        self._again_s = again_s
        #: How often in a row the measurement of an endpoint was incomplete.
        self._failures: dict[UUID | None, int] = {}
        #: When to measure the environment's endpoint, which is in no table: each process does. None: it is done, or not wanted.
        self._own_at: float | None = 0.0 if deps.model_settings.measure else None

    def once(self) -> None:
        """Measure what is due, one after another. Raises StorageUnavailable."""
        if self._own_at is not None and time.monotonic() >= self._own_at:
            self._own()
        while not self._deps.in_flight.stopping.is_set():
            row = endpoints.claim_probe(self._deps.worker, within_s=_WITHIN_S)
            if row is None:
                return
            self._one(row)

    def _own(self) -> None:
        endpoint = self._deps.router.default_endpoint
        try:
            found = probe(endpoint, self._deps.model_settings.timeouts)
        except InferenceError:
            # It is down; the next try costs next to nothing.
            return
        if not found.failures:
            home = self._deps.router.default_endpoint
            self._deps.router.learn(replace(home.traits, **found.measured))
        again_s = self._next(None, again=found.again or bool(found.failures))
        self._own_at = None if again_s is None else time.monotonic() + again_s
        log.info("endpoint_probed", endpoint=endpoint.name, failures=len(found.failures), missing=len(found.missing))

    def _one(self, row: EndpointRow) -> None:
        worker = self._deps.worker
        try:
            found = probe(as_endpoint(row, endpoints.open_key(self._deps.keyring, row)), self._deps.model_settings.timeouts)
        except CannotOpen:
            endpoints.store_probe(
                worker, row, traits=None, notes=["its key cannot be opened with the keys of this service: enter it again"]
            )
            log.error("endpoint_key_cannot_be_opened", endpoint=row.name)  # noqa: TRY400 - nothing to trace
            return
        except InferenceError as error:
            endpoints.store_probe(worker, row, traits=None, notes=[str(error)], again_s=self._next(row.id, again=True))
            log.info("endpoint_not_probed", endpoint=row.name, error=type(error).__name__)
            return
        traits = None if found.failures else {**row.traits, **found.measured}
        notes = [*found.failures, *found.notes]
        is_stored = endpoints.store_probe(worker, row, traits=traits, notes=notes, again_s=self._next(row.id, again=found.again))
        log.info("endpoint_probed", endpoint=row.name, kept=is_stored, failures=len(found.failures), missing=len(found.missing))

    def _next(self, endpoint: UUID | None, *, again: bool) -> float | None:
        """Count how an endpoint's probe ended and return after how long it is measured again; None: only when asked."""
        if not again:
            self._failures.pop(endpoint, None)
            return None
        before = self._failures.get(endpoint, 0)
        self._failures[endpoint] = before + 1
        return min(self._again_s * 2 ** min(before, 10), _LONGEST_AGAIN_S)
