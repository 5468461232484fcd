"""What is read does not grow with what waits, was settled or went wrong; and what is cut off to keep it so is still whole for whoever pages on."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import pytest

from bots.admin import batches as asked
from bots.storage import attention, batches, claims, conversations, gauges
from bots.storage.attention import TroubleKind
from bots.storage.conversations import State
from bots.storage.database import hot, unit
from tests.support.batches import lines, submit
from tests.support.cluster import Cluster
from tests.support.crowd import Crowd
from tests.support.pages_read import pages_once_planned
from tests.support.storage_fixture import QUEUE, StorageFixture, a_message, a_phone

_CLAIM = f"select id from due_conversations('{QUEUE}', 1)"
_TICK = "select * from everything_waiting(2)"


@pytest.fixture
def crowd(storage: StorageFixture, cluster: Cluster) -> Iterator[Crowd]:
    owner = cluster.engine(storage.value("select current_database()"), "owner")
    yield Crowd(owner)
    owner.dispose()


def _analyze(crowd: Crowd) -> None:
    with crowd.owner.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("vacuum analyze")


def _put_off(storage: StorageFixture, account: UUID) -> None:
    storage.do("update conversations set ready_at = now() + interval '1 hour' where account_id = %s", account)


def test_accounts_that_wait_for_their_time_are_in_nobodys_way(storage: StorageFixture, crowd: Crowd) -> None:
    claims.heartbeat(storage.crossing, "w", boot=storage.boot, queues=[QUEUE], slots=4, busy=0)
    for name in ("one", "another"):
        crowd.account(name)
        crowd.write(name, 1)
    before = [pages_once_planned(storage.crossing, statement) for statement in (_CLAIM, _TICK)]
    for n in range(300):
        crowd.account(f"later{n}")
        crowd.write(f"later{n}", 1)
        _put_off(storage, crowd.accounts[f"later{n}"])
    after = [pages_once_planned(storage.crossing, statement) for statement in (_CLAIM, _TICK)]

    assert all(now <= then + 40 for then, now in zip(before, after, strict=True)), (before, after)
    assert {crowd.name_of(storage.claimed().account) for _ in range(2)} == {"one", "another"}
    assert storage.claim() is None


def test_somebody_whose_turn_comes_among_many_that_wait_is_answered_beside_a_crowd(storage: StorageFixture, crowd: Crowd) -> None:
    crowd.account("crowd")
    crowd.write("crowd", 200, ago_s=60)
    for n in range(300):
        crowd.account(f"later{n}")
        crowd.write(f"later{n}", 1)
        _put_off(storage, crowd.accounts[f"later{n}"])
    storage.do("update conversations set ready_at = now() where account_id = %s", crowd.accounts["later177"])
    before = pages_once_planned(storage.crossing, _CLAIM)

    assert before < 1_000
    assert [crowd.name_of(storage.claimed().account) for _ in range(2)].count("later177") == 1


def test_a_tick_reads_no_more_of_a_large_backlog_where_another_queue_is_empty(storage: StorageFixture, crowd: Crowd) -> None:
    claims.heartbeat(storage.crossing, "w", boot=storage.boot, queues=[QUEUE, "reply.other"], slots=4, busy=0)
    crowd.account("crowd")
    crowd.write("crowd", 1_500, ago_s=60)
    _analyze(crowd)
    before = pages_once_planned(storage.crossing, _TICK)
    crowd.write("crowd", 6_000, ago_s=60)
    _analyze(crowd)
    # As another connection plans it.
    storage.crossing.dispose()
    after = pages_once_planned(storage.crossing, _TICK)

    assert after <= before * 1.2 + 40, (before, after)


def test_every_old_body_in_quarantine_goes_however_many_came_at_once(storage: StorageFixture) -> None:
    storage.do(
        "insert into envelopes (tenant_id, account_id, body, state, received_at) select %s, %s, '{'::bytea, 'quarantined', now() - interval '40 days'"
        " - n * interval '1 s' from generate_series(1, 1200) n",
        storage.account.tenant_id,
        storage.account.id,
    )
    while claims.keep_house(storage.crossing, envelope_days=30):
        """As the dispatcher does."""

    assert storage.value("select count(*) from envelopes where body is not null") == 0
    assert storage.value("select count(*) from envelopes where state = 'quarantined'") == 1200


def _keep(storage: StorageFixture, *, keeps: bool) -> None:
    with unit(storage.web) as connection:
        connection.exec_driver_sql("update bots set keeps_messages = %s", (keeps,))


def test_what_a_bot_keeps_is_not_read_again_and_goes_once_it_keeps_nothing(storage: StorageFixture) -> None:
    _keep(storage, keeps=True)
    storage.let_in(a_message("hello"))
    storage.end(storage.answered())
    storage.do("update outbox set forgotten_at = now()")
    claims.keep_house(storage.crossing, envelope_days=30)
    assert storage.value("select body from outbox") == "hello"
    _keep(storage, keeps=False)
    claims.keep_house(storage.crossing, envelope_days=30)

    assert storage.value("select body from outbox") == ""


def _refused(storage: StorageFixture, turns: int) -> None:
    """Let a budget end so many turns of one conversation."""
    conversation, contact = storage.rows("select id, contact_id from conversations limit 1")[0]
    storage.do(
        "insert into turns (tenant_id, conversation_id, contact_id, number, state, reason, finished_at)"
        " select %s, %s, %s, 1000 + n + (select max(number) from turns), 'answered', 'budget', greatest(now() - n * interval '1 ms', date_trunc('day', now(), 'UTC'))"
        " from generate_series(1, %s) n",
        storage.account.tenant_id, conversation, contact, turns,
    )  # fmt: skip


def _budgets(storage: StorageFixture) -> list[int]:
    with hot(storage.crossing) as connection:
        found = attention.troubles(connection, tenant=storage.account.tenant_id, kind=TroubleKind.BUDGET)
        assert gauges.read(connection).attention["budget"] == len(found)
        return [one.count for one in found]


def test_a_budget_that_ended_thousands_of_turns_is_one_trouble_that_one_row_dismisses(storage: StorageFixture) -> None:
    storage.let_in(a_message())
    storage.end(storage.answered(reason="budget", in_history=False))
    assert _budgets(storage) == [1]
    _refused(storage, 3_000)
    assert attention.COUNTED <= _budgets(storage)[0] <= 2 * attention.COUNTED
    with unit(storage.crossing) as connection:
        attention.dismiss(connection, tenant=storage.account.tenant_id, kind=TroubleKind.BUDGET, id_=storage.account.bot_id)
    _refused(storage, 10)

    assert storage.value("select count(*) from turns where reason = 'budget:seen'") == 1
    assert _budgets(storage) == []


def test_the_list_of_a_backlog_begins_with_the_newest_and_all_pages_are_short(storage: StorageFixture, crowd: Crowd) -> None:
    crowd.account("crowd")
    crowd.write("crowd", 3_000, ago_s=60)
    tenant, newest = crowd.tenants["one"], storage.rows("select id from conversations order by newest_at desc, id desc limit 120")
    seen: list[UUID] = []
    before = None
    with hot(storage.crossing) as connection:
        for _ in range(3):
            page = conversations.newest(connection, tenant=tenant, only=State.WAITING, before=before, limit=40)
            assert page[-1].newest_at is not None
            before = (page[-1].newest_at, page[-1].id)
            seen += [one.id for one in page]
        unanswered = conversations.newest(connection, tenant=tenant, only=State.UNANSWERED, limit=40)
        beside = conversations.newest(connection, tenant=storage.account.tenant_id, only=State.WAITING)

    assert seen == [row[0] for row in newest]
    assert [one.id for one in unanswered] == seen[:40]
    assert beside == []


def test_a_small_tenants_list_is_whole_beside_anothers_backlog(storage: StorageFixture, crowd: Crowd) -> None:
    crowd.account("crowd")
    crowd.write("crowd", 2_000, ago_s=60)
    storage.let_in(a_message("is anybody there?", by=(a_phone("34600111222"),)))
    with hot(storage.crossing) as connection:
        found = {
            only: len(conversations.newest(connection, tenant=storage.account.tenant_id, only=only))
            for only in (State.WAITING, State.UNANSWERED)
        }

    assert found == {State.WAITING: 1, State.UNANSWERED: 1}


def test_results_come_in_the_order_of_the_file_whatever_became_of_each(storage: StorageFixture) -> None:
    batch = submit(storage.web, lines(60)).batch
    storage.do(
        "update batch_items set state = case mod(n, 4) when 0 then 'done' when 1 then 'failed' when 2 then 'waiting' else 'cancelled' end, ready_at = null"
    )

    def pages() -> list[int]:
        numbers: list[int] = []
        with hot(storage.web) as connection:
            while page := batches.ended_after(
                connection, batch, tenant=storage.account.tenant_id, after=numbers[-1] if numbers else 0, limit=7
            ):
                assert len(page) <= 7
                numbers += [one.n for one in page]
        return numbers

    assert pages() == [n for n in range(1, 61) if n % 4 != 2]
    storage.do("update batches set state = 'cancelled'")
    assert pages() == list(range(1, 61))


@pytest.mark.parametrize("more", [0, 1])
def test_more_items_than_go_at_once_are_tried_again(storage: StorageFixture, more: int) -> None:
    items = batches.RETRIED_AT_ONCE + more
    batch = submit(storage.web, lines(items)).batch
    storage.do("update batch_items set state = 'failed', ready_at = null, finished_at = now()")
    storage.do("update batches set state = 'done'")

    assert asked.retry(storage.deps, storage.operator(), batch) == items
    assert storage.value("select count(*) from batch_items where state = 'waiting' and ready_at <= now()") == items
