"""A statement that is sent now, and whose answer is read when it has come."""

from __future__ import annotations

import select
from collections.abc import Iterator
from contextlib import closing

import pytest

from bots.errors import StorageUnavailable
from bots.storage.line import Line, Refused
from tests.support.processes import until
from tests.support.storage_fixture import StorageFixture

_MUCH = b"0" * 8_000_000


@pytest.fixture
def line(storage: StorageFixture) -> Iterator[Line]:
    """An open line."""
    with closing(Line(storage.crossing)) as found:
        found.open()
        yield found


def _asked(line: Line, statement: str, *values: bytes) -> bytes | None:
    is_sent = line.send(statement, values, binary=(0,))
    poll = select.poll()
    poll.register(line.fileno())
    until(lambda: bool(poll.poll(1000)) and (is_sent or line.flush()) and line.read(), what="the answer has come")
    return line.answer()


def test_an_answer_is_read_when_it_has_come(line: Line) -> None:
    line.send("select 42 from pg_sleep(0.2)")

    assert not line.read()
    until(line.read, what="the answer has come")
    assert line.answer() == b"42"


def test_a_statement_that_is_larger_than_the_socket_takes_is_sent_in_pieces(line: Line) -> None:
    assert _asked(line, "select length($1::bytea)", _MUCH) == str(len(_MUCH)).encode()
    assert _asked(line, "select length($1::bytea)", b"") == b"0"


def test_what_postgres_refuses_is_said_and_the_line_goes_on(line: Line) -> None:
    with pytest.raises(Refused):
        _asked(line, "select 1 / length($1::bytea)", b"")

    assert line.is_open
    assert _asked(line, "select 1 / length($1::bytea)", b"x") == b"1"


def test_a_line_that_ends_says_so_and_can_be_opened_again(storage: StorageFixture, line: Line) -> None:
    _asked(line, "select pg_backend_pid() where length($1::bytea) = 0", b"")
    own = int(line.answer() or b"0")
    line.send("select pg_sleep(20)")
    storage.do("select pg_terminate_backend(%s)", own)

    with pytest.raises(StorageUnavailable):
        until(line.read, what="it has ended")
    assert not line.is_open
    line.open()
    assert _asked(line, "select length($1::bytea)", b"x") == b"1"


def test_a_line_that_is_not_open_sends_nothing(storage: StorageFixture) -> None:
    with pytest.raises(StorageUnavailable):
        Line(storage.crossing).send("select 1")


def test_a_line_is_renewed_once_it_is_old(storage: StorageFixture) -> None:
    now = 0.0
    with closing(Line(storage.crossing, lambda: now)) as line:
        line.open()
        assert line.is_open
        now = 3600.0
        assert not line.is_open
