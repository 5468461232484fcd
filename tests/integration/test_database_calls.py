"""How long one call of a storage function may take."""

from __future__ import annotations

import pytest

from bots.errors import StorageUnavailable
from bots.storage.database import call_timed, open_engine
from tests.support.storage_fixture import StorageFixture

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
