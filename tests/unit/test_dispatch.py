"""How many tasks a queue lacks."""

from __future__ import annotations

import pytest

from bots.storage.claims import Waiting
from workers.dispatch import to_publish


@pytest.mark.parametrize(
    ("due", "running", "slots", "unclaimed", "expected"),
    [
        (5, 0, 64, 0, 5),
        (5, 0, 64, 5, 0),
        (500, 0, 64, 0, 72),
        (500, 64, 64, 0, 8),
        (500, 64, 64, 8, 0),
        (500, 72, 64, 8, 0),
        (3, 0, 1, 0, 2),
        (3, 0, 0, 0, 0),
    ],
)
def test_never_more_than_due_and_at_most_an_eighth_above_the_free_slots(due, running, slots, unclaimed, expected) -> None:
    assert to_publish(Waiting(queue="q", due=due, running=running, slots=slots), unclaimed) == expected


@pytest.mark.parametrize(
    ("due", "running", "slots", "unclaimed", "expected"),
    [
        (500, 0, 48, 0, 48),
        (500, 40, 48, 0, 8),
        (500, 40, 48, 8, 0),
        (500, 48, 48, 0, 0),
        (500, 60, 48, 0, 0),
        (3, 0, 48, 0, 3),
        (500, 0, 1, 0, 1),
        (500, 1, 1, 0, 0),
    ],
)
def test_a_batch_gets_no_task_above_its_own_slots(due, running, slots, unclaimed, expected) -> None:
    assert to_publish(Waiting(queue="batch.default", due=due, running=running, slots=slots), unclaimed) == expected
