"""The day on which a message was written, where its writer is: what "tomorrow" in it means."""

from __future__ import annotations

from datetime import date, datetime
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from bots.storage.claims import ClaimedMessage
from workers.turn import stated


@pytest.mark.parametrize(
    ("now", "age_h", "day"),
    [
        # Clocks went from 02:00 to 03:00 that night: three hours before 03:30 it was half past eleven.
        ("2026-03-29T03:30:00+02:00", 3, date(2026, 3, 29)),
        # They went back from 03:00 to 02:00: three hours before the second 02:30 it was half past midnight.
        ("2026-10-25T02:30:00+01:00", 3, date(2026, 10, 26)),
        ("2026-06-02T00:30:00+02:00", 1, date(2026, 6, 2)),
        ("2026-06-02T00:30:00+02:00", 0, date(2026, 6, 3)),
    ],
)
def test_tomorrow_is_the_day_after_the_one_on_which_it_was_written(now: str, age_h: float, day: date) -> None:
    message = ClaimedMessage(
        id=uuid4(), event_key="k", content_type="text", supported=True, age_s=age_h * 3600, text="I fly to Oslo tomorrow"
    )
    here = datetime.fromisoformat(now).astimezone(ZoneInfo("Europe/Madrid"))

    (fact,) = stated.read([(message, message.text or "")], now=here).facts

    assert fact.day == day
