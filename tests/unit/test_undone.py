"""Why groups of calls were undone is logged once in a while, without a word of anybody."""

from __future__ import annotations

from psycopg.errors import LockNotAvailable, UniqueViolation
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from bots.errors import StorageUnavailable
from bots.storage.undone import Undone


def test_each_reason_is_logged_once_in_a_while_with_how_often_it_came_before() -> None:
    undone = Undone("ends", every_s=0.0)
    with capture_logs() as lines:
        undone.note(LockNotAvailable(), calls=5)
        undone.note(LockNotAvailable(), calls=3)

    assert [(line["event"], line["kind"], line["reason"], line["calls"]) for line in lines] == [
        ("group_undone", "ends", "LockNotAvailable:55P03", 5),
        ("group_undone", "ends", "LockNotAvailable:55P03", 3),
    ]

    seldom = Undone("ends")
    with capture_logs() as lines:
        for _ in range(100):
            seldom.note(LockNotAvailable(), calls=2)
        seldom.note(UniqueViolation(), calls=2)

    assert [line["reason"] for line in lines] == ["LockNotAvailable:55P03", "UniqueViolation:23505"]


def test_how_often_it_came_meanwhile_is_told_the_next_time() -> None:
    undone = Undone("ends", every_s=30.0)
    with capture_logs() as lines:
        for at in (0.0, 1.0, 2.0, 31.0):
            undone.note(LockNotAvailable(), calls=2, now=at)

    assert [line["before"] for line in lines] == [0, 2]


def test_an_error_shows_its_class_and_code_and_nothing_that_it_says() -> None:
    error = OperationalError("select finish_turns(%s)", {"words": "I live in Porto"}, UniqueViolation("Key (text)=(Porto) already exists."))
    wrapped = StorageUnavailable()
    wrapped.__cause__ = error
    with capture_logs() as lines:
        Undone("ends").note(wrapped, calls=2)

    assert "Porto" not in str(lines)
    assert [line["reason"] for line in lines] == ["UniqueViolation:23505"]


def test_of_a_single_call_there_is_nothing_to_tell() -> None:
    with capture_logs() as lines:
        Undone("ends").note(LockNotAvailable(), calls=1)

    assert not lines
