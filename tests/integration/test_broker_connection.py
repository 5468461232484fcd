"""A connection to Redis that is opened while Redis is away."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bots.settings import Settings
from chinwag.local.redis import start_redis
from workers.app import make

#: By then it has been tried twice: with the pauses of the broker's library alone the next time would be three and a half seconds later.
_AWAY_S, _SOON_S = 2.5, 2.5


def test_whoever_publishes_notices_the_return_of_redis_soon(tmp_path: Path) -> None:
    gone = start_redis(tmp_path / "redis")
    app = make(Settings(redis_url=gone.url))
    gone.child.process.kill()
    gone.child.process.wait(10)
    with ThreadPoolExecutor(1) as pool, app.connection_for_write() as connection:
        opened = pool.submit(lambda: connection.default_channel)
        with pytest.raises(TimeoutError):
            opened.result(_AWAY_S)
        back = start_redis(tmp_path / "redis")
        try:
            assert opened.result(_SOON_S)
        finally:
            back.stop()
