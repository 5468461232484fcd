"""What an edited message says: facts for the memory, or a wish to stop. Everything else is left as it is."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from bots.domain import EventKind, Fact, Identity, IdentityKind, InboundEvent
from bots.extract.edits import read_edits


def an_event(text: str | None, kind: EventKind = EventKind.EDIT) -> InboundEvent:
    return InboundEvent(kind=kind, event_key="e1", text=text, target="w1")


@pytest.mark.parametrize(
    ("text", "facts", "stops"),
    [
        ("My name is Gaspar", (Fact(kind="name", value="Gaspar", topic=""),), False),
        ("Me llamo Gaspar", (Fact(kind="name", value="Gaspar", topic=""),), False),
        ("a table for 8", (), False),
        ("/stop", (), True),
        ("/memory", (), False),
        ("/forget tea", (), False),
        ("Forget my address", (), False),
        ("My name is Gaspar. Don't remember this.", (), False),
        ("That's wrong, my name is Gaspar", (Fact(kind="name", value="Gaspar", topic=""),), False),
        ("My name is Gaspar. " + "x" * 100_000, (Fact(kind="name", value="Gaspar", topic=""),), False),
    ],
)
def test_an_edit_is_read(text: str, facts: tuple[Fact, ...], *, stops: bool) -> None:
    (event,) = read_edits([an_event(text)])

    assert (event.facts, event.stops, event.text) == (facts, stops, text)


@pytest.mark.parametrize(
    ("text", "untold", "unsaid"),
    [
        ("/mémoire", True, False),
        ("Olvida mi dirección", True, False),
        ("Don't remember this", True, True),
        ("Ne retiens pas ça", True, True),
        ("My name is Gaspar. Don't remember this.", False, True),
        ("Ne retiens pas ça : je m'appelle Gaspard", False, True),
        ("That's wrong, my name is Gaspar", False, False),
        ("My name is Gaspar", False, False),
    ],
)
def test_an_edit_that_asks_for_something_is_known_as_such(text: str, *, untold: bool, unsaid: bool) -> None:
    (event,) = read_edits([an_event(text)])

    assert (event.untold, event.unsaid) == (untold, unsaid)


@pytest.mark.parametrize(
    "event",
    [
        an_event(None),
        an_event("My name is Gaspar", EventKind.MESSAGE),
        an_event("My name is Gaspar", EventKind.ECHO),
        an_event(None, EventKind.REVOKE),
    ],
)
def test_everything_else_stays_as_it_is(event: InboundEvent) -> None:
    assert read_edits([event]) == [event]


@pytest.mark.parametrize(
    ("kind", "who", "zones", "at", "day"),
    [
        (IdentityKind.PHONE, "6421123456", ("Europe/Madrid", ""), datetime(2026, 5, 4, 20, tzinfo=UTC), date(2026, 5, 6)),
        (IdentityKind.PHONE, "919812345678", (), datetime(2026, 5, 4, 20, tzinfo=UTC), date(2026, 5, 6)),
        (IdentityKind.PHONE, "12135550123", ("Asia/Tokyo",), datetime(2026, 5, 5, 2, tzinfo=UTC), date(2026, 5, 5)),
        (IdentityKind.BSUID, "ES.1", ("Asia/Tokyo", ""), datetime(2026, 5, 4, 20, tzinfo=UTC), date(2026, 5, 6)),
        (IdentityKind.BSUID, "ES.1", (None, "America/Lima"), datetime(2026, 5, 5, 2, tzinfo=UTC), date(2026, 5, 5)),
        (IdentityKind.BSUID, "ES.1", (None, ""), datetime(2026, 5, 4, 20, tzinfo=UTC), date(2026, 5, 5)),
    ],
)
def test_tomorrow_is_counted_from_the_day_where_the_writer_is(
    kind: IdentityKind, who: str, zones: tuple[str | None, ...], at: datetime, day: date
) -> None:
    words = "I have a dentist appointment tomorrow"
    event = InboundEvent(
        kind=EventKind.EDIT, event_key="e1", text=words, target="w1", occurred_at=at, identities=(Identity(kind=kind, value=who),)
    )

    (read,) = read_edits([event], *zones)

    assert [fact.day for fact in read.facts] == [day]
