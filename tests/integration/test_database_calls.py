"""One function in a transaction of its own: how long it may take, what a lost connection does, and what its errors show."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import DataError, DBAPIError

from bots.errors import StorageUnavailable
from bots.storage.database import call, call_timed, open_engine
from tests.support.cluster import Database
from tests.support.storage_fixture import StorageFixture

_END_ALL = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'chinwag-calls'"
_SLOW = "select pg_sleep(1.4) is not null"


def test_a_call_that_may_take_longer_does_and_the_next_one_may_not(storage: StorageFixture) -> None:
    engine = open_engine(storage.worker.url.render_as_string(hide_password=False), pool=1, name="worker", statement_timeout_s=1)
    try:
        with pytest.raises(StorageUnavailable):
            call_timed(engine, _SLOW, (), repeat=False)
        assert call_timed(engine, _SLOW, (), repeat=False, within_s=20.0)[0]
        with pytest.raises(StorageUnavailable):
            call_timed(engine, _SLOW, (), repeat=False)
        assert call_timed(engine, "show transaction_isolation", ())[0] == "read committed"
    finally:
        engine.dispose()


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    opened = open_engine(database.env["CHINWAG_WORKER_DATABASE_URL"], pool=4, name="calls")
    yield opened
    opened.dispose()


def _fill(engine: Engine) -> list[int]:
    """Have four connections in the pool, and return their backends."""
    held = [engine.connect() for _ in range(4)]
    found = [connection.exec_driver_sql("select pg_backend_pid()").scalar_one() for connection in held]
    for connection in held:
        connection.close()
    return found


def test_after_a_connection_was_lost_those_beside_it_are_made_anew(engine: Engine, database: Database) -> None:
    before = _fill(engine)
    with database.engine().connect() as owner:
        owner.exec_driver_sql(_END_ALL)

    with pytest.raises(StorageUnavailable):
        call(engine, "select 1", (), repeat=False)
    # As many as there were, and none of them fails.
    assert [call(engine, "select %s", (n,), repeat=False) for n in range(4)] == [0, 1, 2, 3]
    assert set(_fill(engine)).isdisjoint(before)


def test_what_may_be_repeated_is_done_on_a_new_connection(engine: Engine, database: Database) -> None:
    _fill(engine)
    with database.engine().connect() as owner:
        owner.exec_driver_sql(_END_ALL)

    assert call(engine, "select 7", ()) == 7


def test_the_connection_that_was_used_last_is_used_next(engine: Engine) -> None:
    _fill(engine)

    assert len({call(engine, "select pg_backend_pid()", ()) for _ in range(8)}) == 1


def test_an_error_of_a_statement_is_raised_without_its_values_and_spoils_no_connection(engine: Engine) -> None:
    [*_, last] = _fill(engine)
    with pytest.raises(DBAPIError) as refused:
        call(engine, "select 1 / %s, %s", (0, "I live in Porto"))

    assert "Porto" not in str(refused.value)
    assert isinstance(refused.value, DataError)
    assert call(engine, "select pg_backend_pid()", ()) == last


def test_postgres_that_is_not_there_is_unavailable() -> None:
    nowhere = open_engine("postgresql+psycopg://nobody:none@127.0.0.1:9/nothing", pool=1, name="calls")
    with pytest.raises(StorageUnavailable):
        call(nowhere, "select 1", (), repeat=False)


def test_a_call_is_a_transaction_of_its_own_on_whatever_engine(database: Database) -> None:
    for model, engine in (("one", database.hot("worker")), ("other", database.engine("worker"))):
        call(engine, "insert into embedders (model) values (%s) returning id", (model,))
    with database.engine().connect() as owner:
        assert owner.exec_driver_sql("select count(*) from embedders").scalar_one() == 2


def test_a_connections_plans_are_made_anew_each_time_what_went_over_it_has_doubled(database: Database) -> None:
    with database.engine().begin() as owner:
        # The server's log has no statements by its own settings.
        owner.exec_driver_sql(f"alter role chinwag_worker in database {database.name} set log_statement = 'all'")
    log = database.cluster.postgres.child.log
    before = len(re.findall("discard plans$", log.read_text(), re.MULTILINE))
    engine = open_engine(database.env["CHINWAG_WORKER_DATABASE_URL"], pool=4, name="calls")
    try:
        found = [call(engine, "select %s", (n,)) for n in range(140)]
        made_anew = len(re.findall("discard plans$", log.read_text(), re.MULTILINE)) - before
    finally:
        engine.dispose()

    assert found == list(range(140))
    assert made_anew == len((32, 64, 128))
