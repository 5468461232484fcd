"""Measures endpoints that were connected or changed, in the background of a worker process: what they really do becomes their traits.

Guarantee: what could not be measured leaves in place what was known of it, and is measured again.
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
from workers.routes import as_endpoint

log = structlog.get_logger()

#: How often a process looks for endpoints to measure.
EVERY_S = 5.0
#: A probe that a process did not bring to its end is another's after so long: longer than any takes.
_WITHIN_S = 300.0
#: What could not be measured is tried again after so long, and after twice as long each time, since hosted ones bill the questions.
_AGAIN_S = 60.0
_LONGEST_AGAIN_S = 1800.0


class Probes:
    """One process's share of the measuring."""

    def __init__(self, deps: Deps, *, again_s: float = _AGAIN_S) -> None:
        self._deps = deps
        self._again_s = again_s
        #: How often in a row an endpoint was not measured to the end.
        self._in_vain: dict[UUID | None, int] = {}
        #: The environment's endpoint stands in no table: each process measures it. None: that is done, or not wanted.
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
            # It is away; the next look costs next to nothing.
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
            endpoints.store_probe(worker, row, traits=None, notes=["its key cannot be opened with the keys of this service: give it anew"])
            log.error("endpoint_key_cannot_be_opened", endpoint=row.name)  # noqa: TRY400 - nothing to trace
            return
        except InferenceError as error:
            endpoints.store_probe(worker, row, traits=None, notes=[str(error)], again_s=self._next(row.id, again=True))
            log.info("endpoint_not_probed", endpoint=row.name, error=type(error).__name__)
            return
        traits = None if found.failures else {**row.traits, **found.measured}
        notes = [*found.failures, *found.notes]
        kept = endpoints.store_probe(worker, row, traits=traits, notes=notes, again_s=self._next(row.id, again=found.again))
        log.info("endpoint_probed", endpoint=row.name, kept=kept, failures=len(found.failures), missing=len(found.missing))

    def _next(self, endpoint: UUID | None, *, again: bool) -> float | None:
        """Count how an endpoint's probe ended; after how long it is measured again, None: not by itself."""
        if not again:
            self._in_vain.pop(endpoint, None)
            return None
        before = self._in_vain.get(endpoint, 0)
        self._in_vain[endpoint] = before + 1
        return min(self._again_s * 2 ** min(before, 10), _LONGEST_AGAIN_S)
