"""Fair turns: whose conversation is claimed next, where several tenants and accounts have more work than there are slots."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from uuid import UUID, uuid4

import pytest

from bots.storage import claims
from bots.storage.claims import Claim
from bots.storage.database import unit
from tests.support.cluster import Cluster
from tests.support.crowd import Crowd
from tests.support.pages_read import pages_once_planned
from tests.support.storage_fixture import QUEUE, StorageFixture, a_message, a_phone


@pytest.fixture
def crowd(storage: StorageFixture, cluster: Cluster) -> Iterator[Crowd]:
    owner = cluster.engine(storage.value("select current_database()"), "owner")
    yield Crowd(owner)
    owner.dispose()


def _claim(storage: StorageFixture, crowd: Crowd, count: int) -> list[str]:
    """Claim so many, and return whose each was."""
    return [crowd.name_of(storage.claimed().account) for _ in range(count)]


def _work(storage: StorageFixture, crowd: Crowd, turns: int, *, slots: int) -> list[str]:
    """Keep so many slots busy for that many turns, which end in the order of their claims, and return whose each was."""
    busy: list[Claim] = []
    names: list[str] = []
    for _ in range(turns):
        if len(busy) == slots:
            crowd.end(busy.pop(0).conversation)
        busy.append(storage.claimed())
        names.append(crowd.name_of(busy[-1].account))
    for claim in busy:
        crowd.end(claim.conversation)
    return names


def _claimed_by(storage: StorageFixture, _turn: int) -> UUID:
    return storage.claimed().conversation


def _longest_run(names: Sequence[str]) -> int:
    longest = run = 1
    for before, name in pairwise(names):
        run = run + 1 if name == before else 1
        longest = max(longest, run)
    return longest


def test_a_small_account_beside_a_crowd_gets_the_next_slots(storage: StorageFixture, crowd: Crowd) -> None:
    crowd.account("crowd")
    crowd.account("small")
    crowd.write("crowd", 60, ago_s=60)
    assert set(_claim(storage, crowd, 16)) == {"crowd"}
    crowd.write("small", 15)

    assert _claim(storage, crowd, 15) == ["small"] * 15


def test_one_slot_goes_round(storage: StorageFixture, crowd: Crowd) -> None:
    crowd.account("crowd")
    crowd.account("small")
    crowd.write("crowd", 60, ago_s=60)
    crowd.write("small", 20)
    names = _work(storage, crowd, 40, slots=1)

    assert abs(names.count("small") - 20) <= 1
    assert _longest_run(names) <= 2


@pytest.mark.parametrize("slots", [1, 12, 24])
def test_tenants_share_by_weight(storage: StorageFixture, crowd: Crowd, slots: int) -> None:
    for weight in (1, 2, 3):
        crowd.account(f"a{weight}", tenant=f"t{weight}", tenant_weight=weight)
        crowd.write(f"a{weight}", 90, ago_s=10 * weight)
    counts = Counter(_work(storage, crowd, 120, slots=slots))

    assert {name: round(count / 20, 1) for name, count in counts.items()} == pytest.approx({"a1": 1, "a2": 2, "a3": 3}, abs=0.4)


@pytest.mark.parametrize("slots", [1, 12])
def test_accounts_share_what_their_tenant_has_by_their_weight(storage: StorageFixture, crowd: Crowd, slots: int) -> None:
    crowd.account("alone", tenant="t1")
    crowd.account("light", tenant="t2")
    crowd.account("heavy", tenant="t2", weight=3)
    crowd.account("paused", tenant="t2", weight=9, state="paused")
    for name in ("alone", "light", "heavy", "paused"):
        crowd.write(name, 80, ago_s=60)
    counts = Counter(_work(storage, crowd, 120, slots=slots))

    assert {name: round(count / 15, 1) for name, count in counts.items()} == pytest.approx({"alone": 4, "light": 1, "heavy": 3}, abs=0.4)


def test_a_tenant_gains_nothing_by_having_many_accounts(storage: StorageFixture, crowd: Crowd) -> None:
    crowd.account("alone", tenant="t1")
    crowd.write("alone", 60)
    for n in range(40):
        crowd.account(f"m{n}", tenant="t2")
        crowd.write(f"m{n}", 4, ago_s=60)
    names = _work(storage, crowd, 80, slots=1)

    assert abs(names.count("alone") - 40) <= 1
    # Of forty accounts sixteen neighbours take part each time.
    assert len(set(names)) > 20


def test_one_account_alone_gets_every_slot_in_the_order_of_arrival(storage: StorageFixture, crowd: Crowd) -> None:
    crowd.account("alone")
    crowd.account("idle", tenant="other", tenant_weight=100)
    crowd.write("alone", 3, ago_s=3)
    crowd.write("alone", 3, ago_s=4000)
    expected = [
        row.id
        for row in storage.rows(
            "select id from conversations order by ready_at > now() - interval '5 minutes' desc, case when ready_at > now() - interval '5 minutes'"
            " then ready_at end, ready_at desc"
        )
    ]

    assert [storage.claimed().conversation for _ in range(6)] == expected
    assert storage.claim() is None


def test_who_was_idle_has_saved_up_nothing(storage: StorageFixture, crowd: Crowd) -> None:
    crowd.account("busy")
    crowd.account("idle")
    crowd.write("busy", 100, ago_s=60)
    assert set(_work(storage, crowd, 40, slots=1)) == {"busy"}
    crowd.write("idle", 40)

    assert abs(_work(storage, crowd, 20, slots=1).count("idle") - 10) <= 1


def test_every_account_of_many_comes_to_its_end(storage: StorageFixture, crowd: Crowd) -> None:
    for n in range(30):
        crowd.account(f"a{n}", tenant=f"t{n // 2}")
        crowd.write(f"a{n}", 2)
    assert Counter(_claim(storage, crowd, 60)) == {f"a{n}": 2 for n in range(30)}
    assert storage.claim() is None


def test_several_at_once_are_different_and_by_the_same_turns(storage: StorageFixture, crowd: Crowd) -> None:
    for name, tenant in (("a", "t1"), ("b", "t2"), ("c", "t2")):
        crowd.account(name, tenant=tenant)
        crowd.write(name, 40, ago_s=60)
    crowd.write("a", 1)
    with unit(storage.crossing) as connection:
        found = connection.exec_driver_sql("select id, account_id from due_conversations(%s, 16)", (QUEUE,)).all()
        rest = connection.exec_driver_sql("select count(distinct id), count(*) from due_conversations(%s, 1000)", (QUEUE,)).one()

    assert len({row.id for row in found}) == 16
    assert Counter(crowd.name_of(row.account_id) for row in found) == {"a": 8, "b": 4, "c": 4}
    # What this transaction has locked itself is not skipped.
    assert tuple(rest) == (121, 121)


def test_claims_side_by_side_take_each_conversation_once(storage: StorageFixture, crowd: Crowd) -> None:
    for n in range(4):
        crowd.account(f"a{n}", tenant=f"t{n % 2}")
        crowd.write(f"a{n}", 50 if n else 5)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(partial(_claimed_by, storage), range(155)))

    assert len(set(found)) == 155
    assert storage.claim() is None


def test_a_thousand_messages_of_one_contact_are_one_conversation_that_is_in_nobodys_way(storage: StorageFixture) -> None:
    for n in range(0, 1000, 250):
        storage.let_in(*(a_message(f"word {n + i}") for i in range(250)))
    storage.let_in(a_message(by=(a_phone("34600999888"),)))

    assert sorted(len(storage.claimed().messages) for _ in range(2)) == [1, 1000]


def _expires(storage: StorageFixture, conversation: UUID) -> None:
    storage.do(
        "update conversations set leased_until = now() - interval '1 second', ready_at = now() - interval '1 second' where id = %s",
        conversation,
    )


def test_what_a_dead_worker_held_is_claimed_where_nothing_else_is_due(storage: StorageFixture, crowd: Crowd) -> None:
    crowd.account("a")
    crowd.write("a", 1)
    held = storage.claimed(boot=uuid4())
    _expires(storage, held.conversation)

    assert storage.claimed().conversation == held.conversation


def test_a_paused_account_does_not_hide_what_a_dead_worker_held(storage: StorageFixture, crowd: Crowd) -> None:
    crowd.account("a")
    crowd.account("paused", state="paused")
    crowd.write("a", 1)
    held = storage.claimed(boot=uuid4())
    crowd.write("paused", 3)
    _expires(storage, held.conversation)

    assert storage.claimed().conversation == held.conversation
    assert storage.claim() is None


def test_what_a_dead_worker_held_takes_its_place_in_a_backlog(storage: StorageFixture, crowd: Crowd) -> None:
    crowd.account("a")
    crowd.write("a", 1, ago_s=100)
    held = storage.claimed(boot=uuid4())
    crowd.write("a", 30)
    _expires(storage, held.conversation)
    claims.heartbeat(storage.crossing, "w", boot=storage.boot, queues=[QUEUE], slots=4, busy=0)
    due = claims.waiting(storage.crossing, reserve=0)[0].due

    assert claims.end_leases(storage.crossing) == 1
    assert (due, claims.waiting(storage.crossing, reserve=0)[0].due) == (31, 31)
    assert storage.claimed().conversation == held.conversation


def test_whoever_held_a_lease_that_was_ended_may_still_finish_it(storage: StorageFixture) -> None:
    storage.let_in(a_message())
    held = storage.claimed()
    _expires(storage, held.conversation)
    storage.value("select end_leases(%s)", QUEUE)

    assert storage.finish(held, state="wait", parts=[], answer=None, retry_s=0) is None
    assert storage.value("select leased_by from conversations") is None
    assert storage.finish(storage.claimed()) is not None


def test_an_account_that_is_paused_is_neither_claimed_nor_counted_nor_read(storage: StorageFixture, crowd: Crowd) -> None:
    crowd.account("open")
    crowd.account("paused", state="paused")
    crowd.write("open", 2)
    claims.heartbeat(storage.crossing, "w", boot=storage.boot, queues=[QUEUE], slots=4, busy=0)
    before = [pages_once_planned(storage.crossing, statement) for statement in _READS]
    crowd.write("paused", 5000, ago_s=60)
    # As autovacuum does: of a table of two rows Postgres expects to read all.
    crowd.owner.connect().execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("analyze")
    after = [pages_once_planned(storage.crossing, statement) for statement in _READS]

    assert claims.waiting(storage.crossing, reserve=0) == [claims.Waiting(queue=QUEUE, due=2, running=0, slots=4)]
    assert all(now <= then + 40 for then, now in zip(before, after, strict=True)), (before, after)
    assert (_claim(storage, crowd, 2), storage.claim()) == (["open"] * 2, None)


def test_a_choice_costs_the_same_however_much_waits(storage: StorageFixture, crowd: Crowd) -> None:
    for n in range(20):
        crowd.account(f"a{n}", tenant=f"t{n % 3}")
        crowd.write(f"a{n}", 2)
    crowd.owner.connect().execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("analyze")
    before = [pages_once_planned(storage.crossing, statement) for statement in _READS]
    crowd.write("a0", 6000, ago_s=100)
    after = [pages_once_planned(storage.crossing, statement) for statement in _READS]

    # The dispatcher counts to a thousand.
    assert after[0] <= before[0] + 60, (before, after)
    assert after[1] <= before[1] + 1600, (before, after)


_READS = (f"select id from due_conversations('{QUEUE}', 1)", "select * from everything_waiting(2)")
