"""Which days and months a question names: those of the contact's time zone."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from bots.recall import question
from tests.support.recalling import a_contact, recall, say
from tests.support.storage_fixture import StorageFixture

#: What a turn of a day that is named gets for it.
_SURE = 5


@pytest.mark.parametrize(
    ("zone", "today", "asked", "said_at", "is_named"),
    [
        ("Pacific/Auckland", date(2026, 5, 6), "What did I tell you yesterday?", datetime(2026, 5, 4, 22, tzinfo=UTC), True),
        ("Pacific/Auckland", date(2026, 5, 20), "What did I tell you in May?", datetime(2026, 4, 30, 20, tzinfo=UTC), True),
        ("America/Los_Angeles", date(2026, 5, 6), "What did I tell you yesterday?", datetime(2026, 5, 5, 4, tzinfo=UTC), False),
        ("America/Los_Angeles", date(2026, 6, 2), "What did I tell you last month?", datetime(2026, 5, 1, 3, tzinfo=UTC), False),
        ("Asia/Kolkata", date(2026, 5, 20), "What did I tell you on 11 May?", datetime(2026, 5, 10, 19, tzinfo=UTC), True),
    ],
)
def test_days_and_months_are_those_of_the_contacts_zone(
    storage: StorageFixture, zone: str, today: date, asked: str, said_at: datetime, *, is_named: bool
) -> None:
    contact, conversation = a_contact(storage)
    say(storage, conversation, "Our boiler knocks", "I see.", number=1, at=said_at)
    sought = question.read(asked, language="en", today=today, zone=zone)
    elsewhere = question.read(asked, language="en", today=today, zone="Nowhere/At_All")
    assert sought is not None
    assert elsewhere is not None

    # Where Postgres does not know a zone, its days are those of UTC.
    assert [recall(storage, contact, one)[0].parts["date"] == _SURE for one in (sought, elsewhere)] == [is_named, not is_named]
