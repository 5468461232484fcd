"""Notices over Postgres: they come at once, they are few however many tell, and a cut connection is noticed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import psycopg
import pytest
from sqlalchemy import Connection, QueuePool, make_url
from structlog.testing import capture_logs

from bots.errors import StorageUnavailable
from bots.storage import chat, chat_notices, work_notices
from bots.storage.work_notices import Listener, Teller
from tests.support.cluster import Cluster
from tests.support.processes import until
from tests.support.storage_fixture import StorageFixture

#: No wait below takes so long, unless the notice is lost.
_LONG_S = 20.0


@dataclass
class Ear:
    """Somebody who listens on a connection."""

    connection: Connection
    listener: Listener = field(default_factory=Listener)

    def waited(self, timeout_s: float) -> tuple[bool, float]:
        """Whether a notice came, and how long that took."""
        began = time.monotonic()
        return self.listener.wait(timeout_s, self.connection), time.monotonic() - began


@pytest.fixture
def ear(storage: StorageFixture) -> Iterator[Ear]:
    """Somebody who listens as the dispatcher does."""
    with storage.crossing.connect() as connection:
        found = Ear(connection)
        found.listener.listen(connection)
        yield found
        found.listener.close()


def _cut(storage: StorageFixture, name: str) -> None:
    cut = "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = %s and pid <> pg_backend_pid()"
    assert storage.rows(cut, name)


def _as_owner(cluster: Cluster, storage: StorageFixture) -> psycopg.Connection:
    database = storage.crossing.url.database
    assert database is not None
    address = make_url(cluster.owner_url(database)).set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(address, autocommit=True)


def test_a_notice_ends_the_wait(storage: StorageFixture, ear: Ear) -> None:
    work_notices.tell(storage.crossing)

    heard, took_s = ear.waited(_LONG_S)
    assert heard
    assert took_s < _LONG_S / 2


def test_without_a_notice_it_waits_as_long_as_it_was_told(ear: Ear) -> None:
    heard, took_s = ear.waited(0.1)

    assert not heard
    assert took_s >= 0.09


def test_a_notice_that_came_during_a_statement_is_not_lost(storage: StorageFixture, ear: Ear) -> None:
    work_notices.tell(storage.crossing)
    ear.connection.exec_driver_sql("select 1")

    assert ear.waited(_LONG_S)[0]


def test_it_can_be_woken_before_it_waits_and_only_once(ear: Ear) -> None:
    ear.listener.wake()

    assert ear.waited(_LONG_S)[1] < _LONG_S / 2
    assert ear.waited(0.1)[1] >= 0.09


def test_however_many_tell_there_are_few_notices_and_the_last_one_comes_after_all(storage: StorageFixture, ear: Ear) -> None:
    teller, began, count = Teller(storage.crossing), time.monotonic(), 0
    for _ in range(2000):
        teller.tell()
    while ear.waited(1.0)[0]:
        count += 1

    assert 1 <= count <= 3 + (time.monotonic() - began) / 0.05
    teller.tell()
    assert ear.waited(_LONG_S)[0]
    # A notice is heard before its connection goes back, and what the fixture closes must be there.
    pool = storage.crossing.pool
    assert isinstance(pool, QueuePool)
    until(lambda: pool.checkedout() == 1, what="only the ear is connected")


def test_whoever_could_not_tell_for_a_while_tells_again(cluster: Cluster, storage: StorageFixture, ear: Ear) -> None:
    teller = Teller(storage.crossing)
    # Refused without a lost connection, as by a server that is still a standby.
    with _as_owner(cluster, storage) as owner:
        owner.execute("revoke execute on function pg_notify from public")
        try:
            with capture_logs() as logged:
                teller.tell()
                until(lambda: logged, what="that it failed")
        finally:
            owner.execute("grant execute on function pg_notify to public")
    teller.tell()

    assert ear.waited(_LONG_S)[0]


def test_the_end_of_the_connection_ends_the_wait_with_an_error(storage: StorageFixture, ear: Ear) -> None:
    _cut(storage, "chinwag-crossing")

    with pytest.raises(StorageUnavailable):
        ear.waited(_LONG_S)
    ear.connection.invalidate()


def test_pages_hear_of_a_talk_and_are_told_to_read_again_after_a_cut(storage: StorageFixture) -> None:
    heard = chat.notices(storage.crossing.url.render_as_string(hide_password=False), lambda: False)
    assert next(heard) == chat.LOST
    conversation = storage.account.id

    chat_notices.tell(storage.crossing, kind="typing", conversation=conversation, contact=conversation, turn=None, text=None)
    assert str(conversation) in next(heard)

    _cut(storage, "chinwag talk")
    assert next(heard) == chat.LOST
    heard.close()
