"""How leased work is done, from the claim to the log line: turns, items of a batch and summaries go this one way.

Guarantee: an error of our own never leaves work as if it had not been tried. What is stored then says that it is retried, or that it failed.
"""

from __future__ import annotations

import random
import time
from abc import ABC, abstractmethod
from typing import Generic, TypeVar
from uuid import UUID

from bots.errors import StorageUnavailable
from workers.deps import Deps

_Result = TypeVar("_Result")


class LeasedWork(ABC, Generic[_Result]):
    """One claimed piece of work. Each method is called once; `failed`, and `store` a second time, only after an error of our own."""

    #: The conversation whose lease is renewed meanwhile; None: the lease is longer than the work may take.
    lease: UUID | None = None

    @abstractmethod
    def do(self) -> _Result:
        """Do the work, with no transaction open across a network call. Raises whatever goes wrong in our own code."""

    @abstractmethod
    def store(self, result: _Result) -> str:
        """Store what came of it and return the state that the work is in; "fenced" where the lease had passed on."""

    @abstractmethod
    def failed(self, error: Exception) -> _Result:
        """Log an error of our own, met in do or in store, and return what is stored instead."""

    @abstractmethod
    def ended(self, state: str, *, took_s: float) -> None:
        """Count and log what was stored."""


def run(deps: Deps, work: LeasedWork[_Result]) -> None:
    """Do a piece of work and store what came of it. Raises StorageUnavailable: then the lease runs out, and the work is claimed again."""
    started = time.monotonic()
    with deps.in_flight.work(lease=work.lease):
        try:
            state = work.store(work.do())
        except StorageUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - the task's edge: an error of our own costs one piece of work a try, not the queue its worker
            state = work.store(work.failed(error))
        work.ended(state, took_s=time.monotonic() - started)


def retry_s(deps: Deps, tries: int) -> float | None:
    """After how long work is tried again that met an error of our own; None: no more. With jitter."""
    delay_s = deps.settings.own_error_delay_s(tries)
    return None if delay_s is None else delay_s * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
