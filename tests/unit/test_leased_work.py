"""What turns, batch items and summaries share: the lease and the watchdog while they are worked on, and what an error of our own leaves."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from bots.errors import StorageUnavailable
from bots.settings import Settings
from workers.in_flight import InFlight
from workers.leased_work import LeasedWork, retry_s, run


class _Work(LeasedWork):
    """Work that notes what is asked of it, and fails as told."""

    def __init__(self, in_flight: InFlight, *, lease: UUID | None = None, fails: Exception | None = None) -> None:
        self._in_flight, self.lease, self._fails = in_flight, lease, fails
        self.steps: list[str] = []
        self.leases: list[UUID] = []
        self.was_watched = False

    def do(self) -> str:
        self.leases, self.was_watched = self._in_flight.leases(), self._in_flight.oldest_s() > 0
        if self._fails is not None:
            raise self._fails
        return "done"

    def failed(self, error: Exception) -> str:
        self.steps.append(f"failed {error}")
        return "retry"

    def ended(self, state: str, *, took_s: float) -> None:
        self.steps.append(f"ended {state}")


def test_a_conversations_lease_is_renewed_while_it_is_worked_on_and_not_after() -> None:
    in_flight, conversation = InFlight(), uuid4()
    work = _Work(in_flight, lease=conversation)

    assert run(in_flight, work)
    assert (work.leases, in_flight.leases()) == ([conversation], [])


def test_work_whose_lease_nobody_renews_is_watched_all_the_same() -> None:
    in_flight = InFlight()
    work = _Work(in_flight)
    run(in_flight, work)

    assert (work.leases, work.was_watched, in_flight.oldest_s()) == ([], True, 0.0)


def test_an_error_of_our_own_is_stored_and_told_as_what_was_stored() -> None:
    in_flight = InFlight()
    work = _Work(in_flight, fails=ValueError("odd"))

    assert run(in_flight, work)
    assert work.steps == ["failed odd", "ended retry"]


def test_storage_that_is_away_is_no_failure_of_the_work_and_frees_the_thread() -> None:
    in_flight = InFlight()
    work = _Work(in_flight, lease=uuid4(), fails=StorageUnavailable())

    with pytest.raises(StorageUnavailable):
        run(in_flight, work)
    assert (work.steps, in_flight.leases(), in_flight.oldest_s()) == ([], [], 0.0)


def test_work_is_tried_again_after_the_settings_delays_and_then_no_more() -> None:
    settings = Settings(own_error_delays_s="2,8")
    found = [retry_s(settings, tries) for tries in range(3)]

    assert found[0] is not None
    assert 1.6 <= found[0] <= 2.4
    assert found[1] is not None
    assert 6.4 <= found[1] <= 9.6
    assert found[2] is None
