"""What pages, searches, erasing and housekeeping read does not grow with the tables: buffers among a few hundred contacts, and among fifteen times as many."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench import grown
from bench.growth_meter import Cost, Meter, opened
from bench.growth_steps import OPERATIONS, Operation, Place
from bots.storage import figures
from tests.support.cluster import Cluster
from tests.support.storage_fixture import open_storage

_FEW, _MANY = 400, 6000
#: An index may have one level more, and more hours of a day have something that failed.
_RATIO, _PAGES = 1.3, 400
#: Message search reads the newest 50,000 messages of each direction, however many there are, and housekeeping some hundred old rows: more than are here.
_BOUNDED = ("search: number", "search: last digits", "search: name", "search: surname", "search: nobody", "keep house", "fifty turns")
_FLAT = [one for one in OPERATIONS if one.name not in _BOUNDED]


@pytest.fixture(scope="module")
def places(cluster: Cluster) -> Iterator[tuple[tuple[Place, Meter], tuple[Place, Meter]]]:
    """Two databases as months of use leave them, and how much was used of each."""
    found: list[tuple[Place, Meter]] = []
    databases = [cluster.database(), cluster.database()]
    for database, contacts in zip(databases, (_FEW, _MANY), strict=True):
        built = open_storage(cluster, database)
        with cluster.engine(database).connect().execution_options(isolation_level="AUTOCOMMIT") as owner:
            grown.build(owner, built, contacts)
        while figures.count(built.crossing):
            pass
        for engine in (built.web, built.worker, built.crossing):
            engine.dispose()
        storage = opened(cluster, database)
        found.append((Place.find(storage, contacts), Meter(storage, cluster.engine(database))))
    yield found[0], found[1]
    for place, meter in found:
        meter.close()
        for engine in (place.storage.web, place.storage.worker, place.storage.crossing):
            engine.dispose()
    for database in databases:
        cluster.drop(database)


@pytest.mark.parametrize("operation", _FLAT, ids=lambda one: one.name)
def test_it_costs_the_same_however_many_contacts_there_are(
    places: tuple[tuple[Place, Meter], tuple[Place, Meter]], operation: Operation
) -> None:
    few, many = (_pages(place, meter, operation) for place, meter in places)

    assert many <= _RATIO * few + _PAGES


def _pages(place: Place, meter: Meter, operation: Operation) -> int:
    """The median of some calls, after those that plan and read the catalog."""
    cost = Cost()
    for n in range(-2, 3):
        operation.before(place, n)
        meter.cost(lambda: operation.call(place, n), cost if n >= 0 else Cost())  # noqa: B023 - called at once
        operation.after(place, n)
    return sorted(cost.buffers)[1]
