"""Worker processes of one name: a dead one's leases are free at once, a living one keeps its own, and the slots of all that live count."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from uuid import UUID, uuid4

import pytest

from bots.errors import StorageUnavailable
from bots.storage import claims
from bots.storage.database import open_engine, unit
from bots.storage.process_lock import ProcessLock
from tests.support.processes import until
from tests.support.storage_fixture import QUEUE, StorageFixture, a_message, a_phone


@contextmanager
def _alive(storage: StorageFixture, boot: UUID) -> Generator[ProcessLock]:
    """A process that lives as long as the block."""
    engine = open_engine(storage.crossing.url.render_as_string(hide_password=False), pool=1, name="alive")
    lock = ProcessLock(engine, boot=boot)
    try:
        assert lock.hold()
        yield lock
    finally:
        lock.leave()
        engine.dispose()
    until(lambda: storage.value("select process_is_dead(%s)", boot), what="Postgres noticed that it is gone")


def _beat(storage: StorageFixture, boot: UUID, *, first: bool = False, name: str = "a") -> int:
    return claims.heartbeat(storage.crossing, name, boot=boot, queues=[QUEUE], slots=4, busy=0, first=first, holds_lock=True)


def _boots(storage: StorageFixture) -> set[UUID]:
    return {row.boot_id for row in storage.rows("select boot_id from worker_heartbeats")}


def _silent(storage: StorageFixture, boot: UUID, seconds: int) -> None:
    storage.do("update worker_heartbeats set at = now() - make_interval(secs => %s) where boot_id = %s", seconds, boot)


def _end_connections(storage: StorageFixture) -> None:
    storage.rows(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'chinwag-alive' and datname = current_database()"
        " and usename = current_user"
    )


def test_a_second_living_process_of_a_name_has_its_own_lease_and_slots(storage: StorageFixture) -> None:
    one, other = uuid4(), uuid4()
    with _alive(storage, one), _alive(storage, other):
        _beat(storage, one, first=True)
        storage.let_in(a_message())
        storage.claimed(boot=one)

        assert _beat(storage, other, first=True) == 0
        assert [_beat(storage, boot) for boot in (one, other, one, other)] == [0] * 4
        storage.let_in(a_message(by=(a_phone("34600111333"),)))
        found = claims.waiting(storage.crossing, reserve=0)
        assert found == [claims.Waiting(queue=QUEUE, due=1, running=1, slots=8)]


def test_what_a_dead_process_held_is_free_with_the_first_report_of_its_successor_beside_a_living_one(storage: StorageFixture) -> None:
    dead, living, successor = uuid4(), uuid4(), uuid4()
    with _alive(storage, living), _alive(storage, successor):
        with _alive(storage, dead):
            for boot, number in ((dead, "1"), (living, "2")):
                _beat(storage, boot, first=True)
                storage.let_in(a_message(by=(a_phone(f"3460011144{number}"),)))
                storage.claimed(boot=boot)

        assert _beat(storage, successor, first=True) == 1
        assert _boots(storage) == {living, successor}
        assert (storage.claim(boot=successor) is not None, storage.claim(boot=successor)) == (True, None)


@pytest.mark.parametrize(("silent_s", "freed"), [(5, 0), (20, 1)])
def test_a_later_report_frees_what_one_held_that_was_silent_for_fifteen_seconds(storage: StorageFixture, silent_s: int, freed: int) -> None:
    dead, living = uuid4(), uuid4()
    with _alive(storage, living):
        _beat(storage, living, first=True)
        with _alive(storage, dead):
            _beat(storage, dead, first=True)
            storage.let_in(a_message())
            storage.claimed(boot=dead)
        _silent(storage, dead, silent_s)

        assert _beat(storage, living) == freed


def test_a_frozen_process_keeps_its_leases_until_they_run_out(storage: StorageFixture) -> None:
    frozen, other = uuid4(), uuid4()
    with _alive(storage, frozen), _alive(storage, other):
        _beat(storage, frozen, first=True)
        storage.let_in(a_message())
        storage.claimed(boot=frozen)
        _silent(storage, frozen, 30)

        assert (_beat(storage, other, first=True), _beat(storage, other)) == (0, 0)
        assert storage.claim() is None
        # Its slots do not count meanwhile.
        storage.let_in(a_message(by=(a_phone("34600111333"),)))
        assert claims.waiting(storage.crossing, reserve=0)[0].slots == 4


def test_a_lock_that_was_lost_with_its_connection_is_taken_again(storage: StorageFixture) -> None:
    boot, other = uuid4(), uuid4()
    with _alive(storage, boot) as lock:
        _end_connections(storage)
        with pytest.raises(StorageUnavailable):
            lock.hold()
        assert lock.hold()
        _beat(storage, boot, first=True)
        storage.let_in(a_message())
        storage.claimed(boot=boot)

        assert _beat(storage, other, first=True) == 0


def test_a_name_is_forgotten_without_those_who_live(storage: StorageFixture) -> None:
    dead, living = uuid4(), uuid4()
    with _alive(storage, living):
        _beat(storage, living, first=True)
        with _alive(storage, dead):
            _beat(storage, dead, first=True)
            storage.let_in(a_message())
            storage.claimed(boot=dead)

        until(lambda: claims.forget_worker(storage.crossing, "a") == 1, what="the dead one's lease is free")
        assert _boots(storage) == {living}


def test_a_process_of_the_version_before_frees_what_its_own_predecessor_held(storage: StorageFixture) -> None:
    before, living = uuid4(), uuid4()
    with _alive(storage, living):
        _beat(storage, living, first=True)
        storage.let_in(a_message())
        storage.claimed(boot=living)
        storage.value("select heartbeat('a', %s, array['q'], 1, 0, true)", before)
        storage.let_in(a_message(by=(a_phone("34600111333"),)))
        storage.claimed(boot=before)

        assert storage.value("select heartbeat('a', %s, array['q'], 1, 0, true)", uuid4()) == 1
        assert living in _boots(storage)


def test_a_lock_whose_connection_ends_is_taken_again_before_anybody_can_judge(storage: StorageFixture) -> None:
    boot = uuid4()
    with _alive(storage, boot) as lock:
        kept = threading.Thread(target=lambda: [lock.keep(30.0), lock.keep(0.0)])
        kept.start()
        _end_connections(storage)
        kept.join(10)

        assert not kept.is_alive()
        until(lambda: not storage.value("select process_is_dead(%s)", boot), what="it is held again", timeout_s=2)


def test_whether_a_process_lives_is_asked_without_being_in_its_way(storage: StorageFixture) -> None:
    boot = uuid4()
    with unit(storage.crossing) as connection:
        # Within this transaction a try would have taken the lock, or succeeded on the session that has it.
        assert connection.exec_driver_sql("select process_is_dead(%s)", (boot,)).scalar()
        with _alive(storage, boot):
            assert not connection.exec_driver_sql("select process_is_dead(%s)", (boot,)).scalar()
    with unit(storage.crossing) as connection:
        connection.exec_driver_sql("select pg_advisory_lock(%s)", (int.from_bytes(boot.bytes[:8], "big", signed=True),))

        assert not connection.exec_driver_sql("select process_is_dead(%s)", (boot,)).scalar()
        connection.exec_driver_sql("select pg_advisory_unlock_all()")


@pytest.mark.parametrize(
    "boot", [UUID(int=0), UUID(int=2**128 - 1), UUID(int=2**127), UUID(int=(2**31) << 64), UUID(int=(2**63 - 1) << 64)]
)
def test_each_id_has_a_key_that_is_found_again(storage: StorageFixture, boot: UUID) -> None:
    with _alive(storage, boot):
        assert not storage.value("select process_is_dead(%s)", boot)
