"""Fair turns of sends and of batches: a crowd of one account or tenant is not in the way of the few of another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from bots.storage import batch_items
from tests.support.cluster import Cluster
from tests.support.crowd import Crowd
from tests.support.storage_fixture import StorageFixture

_BATCHES = "batch.default"


@pytest.fixture
def crowd(storage: StorageFixture, cluster: Cluster) -> Iterator[Crowd]:
    owner = cluster.engine(storage.value("select current_database()"), "owner")
    yield Crowd(owner)
    owner.dispose()


def _sends(storage: StorageFixture, crowd: Crowd, count: int) -> list[str]:
    found = [storage.next_send() for _ in range(count)]
    return [crowd.name_of(sending.account) for sending in found if sending is not None]


def _items(storage: StorageFixture, crowd: Crowd, count: int) -> list[str]:
    found = [batch_items.claim(storage.crossing, _BATCHES, boot=storage.boot, lease_s=60) for _ in range(count)]
    names = {tenant: name for name, tenant in crowd.tenants.items()}
    return [names[item.tenant] for item in found if item is not None]


def test_answers_of_a_crowd_and_of_a_few_are_sent_in_turn(storage: StorageFixture, crowd: Crowd) -> None:
    crowd.account("crowd")
    crowd.account("few")
    crowd.answers("crowd", 60, ago_s=60)
    crowd.answers("few", 10)
    names = _sends(storage, crowd, 22)

    assert names.count("few") == 10
    # Alone again, the crowd gets everything.
    assert set(_sends(storage, crowd, 10)) == {"crowd"}


def test_tenants_share_sends_by_weight_however_many_accounts_they_have(storage: StorageFixture, crowd: Crowd) -> None:
    for n in range(6):
        crowd.account(f"many{n}", tenant="many")
        crowd.answers(f"many{n}", 20, ago_s=60)
    crowd.account("heavy", tenant="heavy", tenant_weight=3)
    crowd.answers("heavy", 60)

    assert Counter(_sends(storage, crowd, 40))["heavy"] == pytest.approx(30, abs=1)


def test_a_crowd_that_may_send_nothing_keeps_nobody_from_sending(storage: StorageFixture, crowd: Crowd) -> None:
    crowd.account("paused", state="paused")
    crowd.account("few")
    crowd.answers("paused", 60, ago_s=60)
    crowd.answers("few", 5)

    assert _sends(storage, crowd, 6) == ["few"] * 5


def test_a_small_batch_gets_the_next_slots_beside_a_large_one_of_another_tenant(storage: StorageFixture, crowd: Crowd) -> None:
    for name in ("large", "small"):
        crowd.account(name, tenant=name)
    crowd.batch("large", 200)
    assert set(_items(storage, crowd, 14)) == {"large"}
    crowd.batch("small", 10)

    assert _items(storage, crowd, 10) == ["small"] * 10
    assert set(_items(storage, crowd, 10)) == {"large"}


def test_tenants_share_what_batches_may_take_by_weight(storage: StorageFixture, crowd: Crowd) -> None:
    for weight in (1, 2, 3):
        crowd.account(f"t{weight}", tenant=f"t{weight}", tenant_weight=weight)
        # Several batches of a tenant are one share.
        for _ in range(4 - weight):
            crowd.batch(f"t{weight}", 40)
    counts = Counter(_items(storage, crowd, 60))

    assert {name: round(count / 10, 1) for name, count in counts.items()} == pytest.approx({"t1": 1, "t2": 2, "t3": 3}, abs=0.2)


def test_of_one_tenant_the_oldest_batch_goes_first(storage: StorageFixture, crowd: Crowd) -> None:
    for name in ("one", "other"):
        crowd.account(name, tenant=name)
    first = crowd.batch("one", 5)
    crowd.batch("one", 5)
    crowd.batch("other", 2)
    found = [batch_items.claim(storage.crossing, _BATCHES, boot=storage.boot, lease_s=60) for _ in range(7)]

    assert sum(item is not None and item.batch == first for item in found) == 5


def test_a_tenant_whose_items_are_all_in_work_takes_no_turns(storage: StorageFixture, crowd: Crowd) -> None:
    for name in ("large", "small"):
        crowd.account(name, tenant=name, tenant_weight=100 if name == "small" else 1)
    crowd.batch("small", 2)
    crowd.batch("large", 50)
    _items(storage, crowd, 5)

    assert _items(storage, crowd, 5) == ["large"] * 5
