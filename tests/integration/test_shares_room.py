"""What a crowd leaves free: where others have written lately it takes nearly all slots and not the last ones, so that nobody waits for a long answer to end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from bots.storage import batch_items, claims
from tests.support.cluster import Cluster
from tests.support.crowd import Crowd
from tests.support.storage_fixture import QUEUE, StorageFixture

_SLOTS = 64


@pytest.fixture
def crowd(storage: StorageFixture, cluster: Cluster) -> Iterator[Crowd]:
    owner = cluster.engine(storage.value("select current_database()"), "owner")
    yield Crowd(owner)
    owner.dispose()


def _report(storage: StorageFixture, *queues: str, slots: int = _SLOTS) -> None:
    """Let a worker report, as it does every few seconds."""
    claims.heartbeat(storage.crossing, "w", boot=storage.boot, queues=queues or [QUEUE], slots=slots, busy=0)


def _wrote(storage: StorageFixture, crowd: Crowd, *names: str) -> None:
    """Somebody wrote to each of these lately, and was answered."""
    for name in names:
        crowd.write(name, 1)
        crowd.end(storage.claimed().conversation)


def _take(storage: StorageFixture, crowd: Crowd, most: int) -> list[str]:
    """Claim until nothing may be claimed, so many at most, and return whose each was."""
    names: list[str] = []
    while len(names) < most and (claim := storage.claim()) is not None:
        names.append(crowd.name_of(claim.account))
    return names


def _due(storage: StorageFixture, queue: str = QUEUE) -> int:
    return sum(one.due for one in claims.waiting(storage.crossing, reserve=0) if one.queue == queue)


def test_a_crowd_leaves_a_quarter_to_an_account_that_wrote_lately_which_then_gets_it(storage: StorageFixture, crowd: Crowd) -> None:
    for name in ("crowd", "few"):
        crowd.account(name)
    _wrote(storage, crowd, "few", "crowd")
    crowd.write("crowd", 100, ago_s=60)
    _report(storage)

    assert Counter(_take(storage, crowd, 100)) == {"crowd": 48}
    # The dispatcher makes no tasks that would find nothing.
    assert _due(storage) == 0
    crowd.write("few", 20)
    assert Counter(_take(storage, crowd, 100)) == {"few": 15}


def test_an_account_that_has_everything_to_itself_gets_every_slot(storage: StorageFixture, crowd: Crowd) -> None:
    for name in ("crowd", "silent"):
        crowd.account(name)
    crowd.write("silent", 1)
    storage.do("update conversations set newest_at = now() - interval '20 minutes'")
    crowd.end(storage.claimed().conversation)
    crowd.write("crowd", 100)
    _report(storage)

    assert len(_take(storage, crowd, _SLOTS)) == _SLOTS


def test_many_at_once_leave_the_same(storage: StorageFixture, crowd: Crowd) -> None:
    for name in ("crowd", "few"):
        crowd.account(name)
    _wrote(storage, crowd, "few")
    crowd.write("crowd", 100)
    _report(storage)
    found = [
        len(claims.claim_turns(storage.crossing, QUEUE, boot=storage.boot, lease_s=60, session_s=1800, most=most)) for most in (32, 20, 12)
    ]

    assert found == [32, 16, 0]


def test_twenty_noisy_accounts_of_a_tenant_leave_slots_to_another_tenant(storage: StorageFixture, crowd: Crowd) -> None:
    crowd.account("quiet", tenant="quiet")
    noisy = [f"n{n}" for n in range(20)]
    for name in noisy:
        crowd.account(name, tenant="noisy")
    _wrote(storage, crowd, "quiet", noisy[0])
    for name in noisy:
        crowd.write(name, 20, ago_s=60)
    _report(storage)
    assert len(_take(storage, crowd, _SLOTS)) == 57
    crowd.write("quiet", 10)

    assert _take(storage, crowd, 7) == ["quiet"] * 7


def test_a_quiet_account_beside_noisy_ones_of_its_own_tenant_gets_what_is_left(storage: StorageFixture, crowd: Crowd) -> None:
    noisy = [f"n{n}" for n in range(3)]
    for name in ("quiet", *noisy):
        crowd.account(name)
    _wrote(storage, crowd, "quiet", noisy[0])
    for name in noisy:
        crowd.write(name, 60, ago_s=60)
    _report(storage)
    taken = len(_take(storage, crowd, _SLOTS))
    crowd.write("quiet", 2)

    assert taken < _SLOTS
    assert _take(storage, crowd, 2)[:1] == ["quiet"]


def test_people_go_before_batches_whatever_they_leave_to_each_other(storage: StorageFixture, crowd: Crowd) -> None:
    for name in ("crowd", "few"):
        crowd.account(name)
    _wrote(storage, crowd, "few", "crowd")
    crowd.batch("one", 60)
    _report(storage, QUEUE, "batch.default")
    items = [batch_items.claim(storage.crossing, "batch.default", boot=storage.boot, lease_s=60) for _ in range(48)]
    crowd.write("crowd", 100)

    assert None not in items
    assert len(_take(storage, crowd, _SLOTS)) == 48


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_where_there_are_few_slots_none_stays_idle(storage: StorageFixture, crowd: Crowd, slots: int) -> None:
    for name in ("crowd", "few"):
        crowd.account(name)
    _wrote(storage, crowd, "few")
    crowd.write("crowd", 20)
    _report(storage, slots=slots)

    assert len(_take(storage, crowd, slots)) == slots


def test_whoever_asks_has_a_slot_whatever_was_reported(storage: StorageFixture, crowd: Crowd) -> None:
    for name in ("crowd", "few"):
        crowd.account(name)
    _wrote(storage, crowd, "few")
    crowd.write("few", 3)
    _report(storage, slots=1)

    assert len(_take(storage, crowd, 3)) == 3


def test_weights_hold_beside_what_is_left_free(storage: StorageFixture, crowd: Crowd) -> None:
    for weight in (0.5, 1, 3):
        crowd.account(f"a{weight}", weight=weight)
    _wrote(storage, crowd, "a0.5", "a1", "a3")
    for weight in (0.5, 1, 3):
        crowd.write(f"a{weight}", 200, ago_s=60)
    _report(storage)
    busy: list[tuple[str, object]] = []
    done = Counter[str]()
    for _ in range(260):
        claim = storage.claim()
        if claim is None:
            name, conversation = busy.pop(0)
            crowd.end(conversation)  # type: ignore[arg-type]
            done[name] += 1
            continue
        busy.append((crowd.name_of(claim.account), claim.conversation))
    held = Counter(name for name, _ in busy)

    assert {name: held[name] / held["a1"] for name in held} == pytest.approx({"a0.5": 0.5, "a1": 1, "a3": 3}, rel=0.15)


def test_slots_that_slow_sends_hold_count_like_turns(storage: StorageFixture, crowd: Crowd) -> None:
    crowd.account("slow")
    crowd.account("few")
    _wrote(storage, crowd, "few", "slow")
    _report(storage, QUEUE, "deliver")
    claims.report_held(storage.crossing, {crowd.accounts["slow"]: (40, 40)}, boot=storage.boot)
    crowd.write("slow", 60, ago_s=60)
    crowd.answers("slow", 60, ago_s=60)
    assert _take(storage, crowd, _SLOTS) == ["slow"] * 8
    claims.report_held(storage.crossing, {crowd.accounts["slow"]: (50, 50)}, boot=storage.boot)
    crowd.write("few", 3)
    crowd.answers("few", 3)
    sent = [storage.next_send() for _ in range(4)]

    assert [crowd.name_of(one.account) for one in sent if one is not None] == ["few"] * 3
    assert _take(storage, crowd, 3) == ["few"] * 3
    assert (_due(storage), _due(storage, "deliver")) == (0, 0)
    claims.report_held(storage.crossing, {}, boot=storage.boot)
    assert storage.next_send() is not None
    assert _take(storage, crowd, 1) == ["slow"]


def test_turns_that_became_slow_sends_a_moment_ago_are_still_counted(storage: StorageFixture, crowd: Crowd) -> None:
    crowd.account("slow")
    crowd.account("few")
    _wrote(storage, crowd, "few", "slow")
    _report(storage)
    crowd.write("slow", 60, ago_s=60)
    # When it reported, 32 turns were leased; none is any more.
    claims.report_held(storage.crossing, {crowd.accounts["slow"]: (48, 16)}, boot=storage.boot)

    assert (_take(storage, crowd, 1), _due(storage)) == ([], 0)


def test_sends_of_a_slow_platform_take_turns_by_what_they_hold(storage: StorageFixture, crowd: Crowd) -> None:
    for name in ("slow", "quick"):
        crowd.account(name)
        crowd.answers(name, 40, ago_s=60)
    _report(storage, "deliver")
    claims.report_held(storage.crossing, {crowd.accounts["slow"]: (20, 20)}, boot=storage.boot)
    sent = [storage.next_send() for _ in range(20)]

    assert {crowd.name_of(one.account) for one in sent if one is not None} == {"quick"}


def test_a_turn_that_is_tried_again_goes_behind_all_who_wait(storage: StorageFixture, crowd: Crowd) -> None:
    crowd.account("a")
    crowd.write("a", 4, ago_s=60)
    first = storage.claimed()
    seen = [first.conversation]
    for _ in range(3):
        storage.finish(first, state="wait", parts=[], answer=None, retry_s=0)
        seen.append(storage.claimed().conversation)

        assert seen[-1] != first.conversation
    assert len(set(seen)) == 4


def test_an_account_whose_turns_fail_at_once_takes_no_more_than_its_turns(storage: StorageFixture, crowd: Crowd) -> None:
    for name in ("failing", "healthy"):
        crowd.account(name)
        crowd.write(name, 20, ago_s=60)
    names: list[str] = []
    for _ in range(24):
        claim = storage.claimed()
        names.append(crowd.name_of(claim.account))
        if names[-1] == "failing":
            storage.finish(claim, state="wait", parts=[], answer=None, retry_s=0)
        else:
            crowd.end(claim.conversation)

    assert abs(names.count("healthy") - 12) <= 1
