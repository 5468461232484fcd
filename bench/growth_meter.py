"""What an operation costs in Postgres: buffers and WAL of the connections that it uses, as Postgres counts them for each."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import Engine

from bots.crypto import Keyring
from bots.errors import StorageUnavailable
from bots.settings import Settings
from bots.storage import accounts
from bots.storage.database import hot, open_engine
from tests.support.cluster import Cluster
from tests.support.storage_fixture import StorageFixture

_USED = """select coalesce(sum(hits), 0), coalesce(sum(reads), 0) from pg_stat_get_backend_io(%s) where object = 'relation'"""
_WRITTEN = "select coalesce(wal_bytes, 0), coalesce(wal_fpi, 0) from pg_stat_get_backend_wal(%s)"


@dataclass(slots=True)
class Cost:
    """What one operation took, call by call."""

    ms: list[float] = field(default_factory=list[float])
    hits: list[int] = field(default_factory=list[int])
    reads: list[int] = field(default_factory=list[int])
    wal: list[int] = field(default_factory=list[int])
    images: list[int] = field(default_factory=list[int])
    failed: int = 0

    @property
    def buffers(self) -> list[int]:
        """Buffers that were looked at, in memory or not."""
        return [hit + read for hit, read in zip(self.hits, self.reads, strict=True)]


class Meter:
    """Counts what the connections of a storage's roles do: each has one connection."""

    def __init__(self, storage: StorageFixture, owner: Engine) -> None:
        self._engines = (storage.web, storage.worker, storage.crossing)
        self._owner = owner.connect().execution_options(isolation_level="AUTOCOMMIT")
        self._pids: list[int] = []
        for engine in self._engines:
            with hot(engine) as connection:
                self._pids.append(connection.exec_driver_sql("select pg_backend_pid()").scalar_one())

    def close(self) -> None:
        """Give the connection back."""
        self._owner.close()

    def read(self) -> list[int]:
        """Buffers hit and read, bytes of WAL and whole pages in it, so far."""
        total = [0, 0, 0, 0]
        for engine, pid in zip(self._engines, self._pids, strict=True):
            with hot(engine) as connection:
                connection.exec_driver_sql("select pg_stat_force_next_flush()")
            found = [*self._owner.exec_driver_sql(_USED, (pid,)).one(), *self._owner.exec_driver_sql(_WRITTEN, (pid,)).one()]
            total = [one + int(more) for one, more in zip(total, found, strict=True)]
        return total

    def cost(self, call: Callable[[], object], into: Cost) -> None:
        """Call it, and note what it took."""
        before, began = self.read(), time.perf_counter()
        try:
            call()
        except StorageUnavailable:
            # It takes longer than a statement may.
            into.failed += 1
        took = time.perf_counter() - began
        hits, reads, wal, images = (after - one for one, after in zip(before, self.read(), strict=True))
        into.ms.append(1000 * took)
        into.hits.append(hits)
        into.reads.append(reads)
        into.wal.append(wal)
        into.images.append(images)


def opened(cluster: Cluster, database: str) -> StorageFixture:
    """Connect to a database that was built before, with one connection for each role."""
    settings = Settings.from_env(cluster.addresses(database))
    web, worker, crossing = (
        open_engine(url, pool=1, name=f"bench {role}")
        for role, url in (
            ("web", settings.web_database_url),
            ("worker", settings.worker_database_url),
            ("crossing", settings.crossing_database_url),
        )
    )
    with hot(web) as connection:
        account = accounts.by_id(connection, connection.exec_driver_sql("select id from accounts where name = 'demo'").scalar_one())
    assert account is not None
    return StorageFixture(web=web, worker=worker, crossing=crossing, keyring=Keyring.from_settings(settings), account=account)
