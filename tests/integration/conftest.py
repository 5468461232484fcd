"""The roles of a fresh database with one account, for tests of storage."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.cluster import Cluster
from tests.support.storage_fixture import StorageFixture, open_storage
from tests.support.traces import Traces


@pytest.fixture
def storage(cluster: Cluster) -> Iterator[StorageFixture]:
    """One account on a fresh database."""
    database = cluster.database()
    opened = open_storage(cluster, database)
    yield opened
    for engine in (opened.web, opened.worker, opened.crossing):
        engine.dispose()
    cluster.drop(database)


@pytest.fixture
def traces(storage: StorageFixture, cluster: Cluster) -> Traces:
    """Where words are in the database of the test."""
    return Traces(cluster, storage.value("select current_database()"))
