"""Which webhooks may be stored together with others."""

from __future__ import annotations

import pytest

from bots.domain import DeliveryStatus, EventKind, InboundEvent
from bots.storage.arrivals import is_plain
from tests.support.storage_fixture import a_message, a_status


def _statuses(count: int) -> list[InboundEvent]:
    return [a_status(f"wamid.{n}", DeliveryStatus.SENT) for n in range(count)]


def _texts(count: int) -> list[InboundEvent]:
    return [a_message(f"line {n}", key=f"w{n}") for n in range(count)]


@pytest.mark.parametrize(
    ("events", "size", "expected"),
    [
        (_texts(1), 800, True),
        (_texts(90), 20_000, True),
        (_texts(101), 20_000, False),
        (_statuses(300), 90_000, True),
        (_statuses(300), 110_000, False),
        (_statuses(500), 120_000, False),
        (_texts(20) + _statuses(200), 60_000, True),
        (_texts(60) + _statuses(200), 60_000, False),
        # Little in it is read, and all of it is stored.
        (_texts(1), 3_000_000, False),
        (_statuses(1) * 2, 600, False),
        ([], 600, False),
    ],
)
def test_what_would_keep_others_waiting_is_not_stored_with_them(events: list[InboundEvent], size: int, expected: bool) -> None:
    assert is_plain(events, b"0" * size) == expected


def test_what_the_database_does_not_store_in_bulk_goes_alone_whatever_is_beside_it() -> None:
    edit = InboundEvent(kind=EventKind.EDIT, event_key="e", target="w")

    assert not is_plain([*_texts(2), edit], b"")
