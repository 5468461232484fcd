"""How leased work is done, from its claim to the log line: turns, items of a batch and summaries share it.

Guarantee: after an error of our own the work is stored as retried or failed. It is never left as if it had not been tried.
"""

from __future__ import annotations

import random
import time
from abc import ABC, abstractmethod
from uuid import UUID

from bots.errors import StorageUnavailable
from bots.settings import Settings
from workers.in_flight import InFlight


class LeasedWork(ABC):
    """One claimed piece of work."""

    #: The conversation whose lease is renewed meanwhile; None: the lease is longer than the work may take.
    lease: UUID | None = None
    #: The account over which it is answered, where it is a turn.
    account: UUID | None = None

    @abstractmethod
    def do(self) -> str:
        """Do it, store the result, and return its state: "fenced" if another worker had taken the lease. Errors of our own code are raised."""

    @abstractmethod
    def failed(self, error: Exception) -> str:
        """Log an error of our own, store that the work is retried or failed, and return its state."""

    @abstractmethod
    def ended(self, state: str, *, took_s: float) -> None:
        """Count and log what was stored."""


def run(in_flight: InFlight, work: LeasedWork) -> bool:
    """Do a piece of work; True: there may be more. Raises StorageUnavailable: then the lease runs out, and the work is claimed again."""
    started = time.monotonic()
    with in_flight.work(lease=work.lease, account=work.account):
        try:
            state = work.do()
        except StorageUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - an error of our own costs one piece of work a try, and the worker goes on
            state = work.failed(error)
        work.ended(state, took_s=time.monotonic() - started)
    return True


def retry_s(settings: Settings, tries: int) -> float | None:
    """After how long work is tried again that failed with an error of our own, with jitter; None: never."""
    delay_s = settings.own_error_delay_s(tries)
    return None if delay_s is None else delay_s * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
