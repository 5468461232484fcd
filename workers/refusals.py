"""Which endpoints refuse calls or have an empty account, for the attention page. Written when a call fails so, and taken back when one is answered.

An ordinary call costs one look into a set in memory.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from uuid import UUID

import structlog
from sqlalchemy import Engine

from bots.errors import StorageUnavailable
from bots.storage import model_refusals
from bots.storage.model_refusals import ModelRefusal
from inference.errors import InferenceError, OutOfQuota

log = structlog.get_logger()

#: How long another process's refusal may go unnoticed, and how often one process writes of the same endpoint.
EVERY_S = 10.0


class RefusalNotes:
    """What this process knows of refusals; safe between threads."""

    def __init__(self, worker: Engine, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine, self._clock = worker, clock
        self._lock = threading.Lock()
        #: Endpoints with a row, or with refusals that are not written yet.
        self._open = frozenset[tuple[UUID, str]]()
        #: The last of those that are not written yet, and how many they are.
        self._unwritten: dict[tuple[UUID, str], tuple[ModelRefusal, int]] = {}
        self._written_at: dict[tuple[UUID, str], float] = {}

    def note(self, tenant: UUID, error: InferenceError) -> None:
        """Record that an endpoint refused a call of this tenant, or that its account is empty."""
        if error.endpoint is None:
            return
        key, kind = (tenant, error.endpoint.name), "quota" if isinstance(error, OutOfQuota) else "refused"
        with self._lock:
            times = self._unwritten[key][1] if key in self._unwritten else 0
            self._unwritten[key] = ModelRefusal(kind=kind, status=error.status, said=error.said), times + 1
            self._open |= {key}
            if self._clock() - self._written_at.get(key, float("-inf")) < EVERY_S:
                return
        self._write(key)

    def answered(self, tenant: UUID, endpoint: str) -> None:
        """Note that an endpoint answered a call of this tenant: if it is on the attention page, it leaves it."""
        key = (tenant, endpoint)
        if key not in self._open:
            return
        with self._lock:
            self._open -= {key}
            self._unwritten.pop(key, None)
        try:
            model_refusals.answered(self._engine, tenant, endpoint)
        except StorageUnavailable:
            # The row is read again, and the next answer removes it.
            log.info("model_refusal_not_removed", endpoint=endpoint)

    def refresh(self) -> None:
        """Write what is not written yet, and read which endpoints have a row. Raises StorageUnavailable."""
        for key in list(self._unwritten):
            self._write(key)
        found = model_refusals.refused(self._engine)
        with self._lock:
            self._open = found | self._unwritten.keys()

    def _write(self, key: tuple[UUID, str]) -> None:
        with self._lock:
            unwritten = self._unwritten.pop(key, None)
            if unwritten is None:
                return
            self._written_at[key] = self._clock()
        try:
            model_refusals.note(self._engine, *key, unwritten[0], times=unwritten[1])
        except StorageUnavailable:
            # A call must not fail for it: the next refusal writes it.
            log.info("model_refusal_not_stored", endpoint=key[1])
