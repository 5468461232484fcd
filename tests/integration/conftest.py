"""A desk on a fresh database for tests of storage."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.cluster import Cluster
from tests.support.desk import Desk, open_desk


@pytest.fixture
def desk(cluster: Cluster) -> Iterator[Desk]:
    """One account on a fresh database."""
    database = cluster.database()
    opened = open_desk(cluster, database)
    yield opened
    for engine in (opened.web, opened.worker, opened.crossing):
        engine.dispose()
    cluster.drop(database)
