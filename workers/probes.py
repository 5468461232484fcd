"""Measures endpoints that were connected or changed, in the background of a worker process: what they really do becomes their traits."""

from __future__ import annotations

import msgspec
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
#: An endpoint that could not be measured is tried again after so long.
_AGAIN_S = 60.0


class Probes:
    """One process's share of the measuring."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        #: An engine of the process's own stands in no table; it is measured once, by the process that has it.
        self._own_is_due = deps.model_settings.first

    def once(self) -> None:
        """Measure what is due, one after another. Raises StorageUnavailable."""
        if self._own_is_due:
            self._own_is_due = not self._own()
        while not self._deps.in_flight.stopping.is_set():
            row = endpoints.claim_probe(self._deps.worker, within_s=_WITHIN_S)
            if row is None:
                return
            self._one(row)

    def _own(self) -> bool:
        endpoint = self._deps.router.home
        try:
            found = probe(endpoint, self._deps.model_settings.timeouts)
        except InferenceError:
            # The engine is away: whoever keeps it knows that, too.
            return False
        if not found.failures:
            self._deps.router.learn(found.traits)
        log.info("endpoint_probed", endpoint=endpoint.name, failures=len(found.failures), notes=len(found.notes))
        return True

    def _one(self, row: EndpointRow) -> None:
        worker = self._deps.worker
        try:
            found = probe(as_endpoint(row, endpoints.open_key(self._deps.keyring, row)), self._deps.model_settings.timeouts)
        except CannotOpen:
            endpoints.store_probe(worker, row, traits=None, notes=["its key cannot be opened with the keys of this service: give it anew"])
            log.error("endpoint_key_cannot_be_opened", endpoint=row.name)  # noqa: TRY400 - nothing to trace
            return
        except InferenceError as error:
            endpoints.store_probe(worker, row, traits=None, notes=[str(error)], again_s=_AGAIN_S)
            log.info("endpoint_not_probed", endpoint=row.name, error=type(error).__name__)
            return
        traits = None if found.failures else msgspec.to_builtins(found.traits)
        kept = endpoints.store_probe(worker, row, traits=traits, notes=[*found.failures, *found.notes])
        log.info("endpoint_probed", endpoint=row.name, kept=kept, failures=len(found.failures), notes=len(found.notes))
