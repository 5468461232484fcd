"""Sums by day against the rows they are made of: each call once, none lost, and nothing of anybody else's."""

from __future__ import annotations

from datetime import UTC, datetime
from threading import Thread
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection

from bots.storage import batch_items, batches, personas, usage
from bots.storage.attention import TroubleKind, count, dismiss, troubles
from bots.storage.batch_items import ItemResult, Spent
from bots.storage.database import call, hot, unit
from bots.storage.turns import ModelCall
from bots.storage.usage import Month
from tests.support.batches import lines, submit
from tests.support.cluster import Cluster
from tests.support.processes import until
from tests.support.storage_fixture import StorageFixture, a_message, a_phone

_COST = 0.0125


def _call(*, cost: float | None = _COST, attempt: int = 1, endpoint: str = "house", tokens: int | None = 100) -> ModelCall:
    return ModelCall(
        attempt=attempt,
        endpoint=endpoint,
        model="m",
        prompt=[],
        outcome="ok",
        tokens_in=tokens,
        tokens_cached=tokens,
        tokens_out=tokens,
        cost=cost,
    )


def _talk(storage: StorageFixture, *calls: ModelCall, number: str = "34600111222") -> UUID:
    """A person's message that was answered with these calls; returns the contact."""
    (contact,) = set(storage.let_in(a_message(by=(a_phone(number),))))
    sending = storage.answered(calls=list(calls))
    storage.end(sending)
    return contact


def _month(storage: StorageFixture, tenant: UUID | None = None) -> Month:
    with hot(storage.crossing) as connection:
        return usage.month(
            connection, tenant=tenant or storage.account.tenant_id, first=usage.months(connection, tenant=storage.account.tenant_id)[0]
        )


def _roll(storage: StorageFixture) -> None:
    """Roll with no margin, for nothing else is in flight, until there is no more to add."""
    while usage.roll(storage.crossing, margin_s=0):
        pass


def test_the_sums_are_those_of_the_rows(storage: StorageFixture) -> None:
    _talk(storage, _call(), number="34600000001")
    _talk(storage, _call(cost=None, endpoint="free"), _call(attempt=2, cost=0.5), number="34600000002")
    # A model that was away gave no tokens and took no money: no call that was answered.
    _talk(storage, _call(cost=None, tokens=None), number="34600000003")
    _batch(storage, cost=0.25)
    _roll(storage)
    found = _month(storage)
    rows = storage.rows("select count(*), sum(tokens_in), sum(tokens_out), sum(cost) from model_calls where tokens_in is not null")[0]

    assert (found.total.calls, found.total.tokens_in, found.total.tokens_out) == (rows[0] + 1, rows[1] + 7, rows[2] + 3)
    assert found.total.cost == pytest.approx(rows[3] + 0.25) == pytest.approx(_COST + 0.5 + 0.25)
    assert {(one.kind, one.day): one.cost for one in found.days} == {
        ("talk", datetime.now(UTC).date()): pytest.approx(_COST + 0.5),
        ("batch", datetime.now(UTC).date()): 0.25,
    }
    assert [(one.name, one.calls) for one in found.bots] == [("demo", 4)]
    assert {(one.endpoint, one.model): one.calls for one in found.models} == {("house", "m"): 2, ("free", "m"): 1, ("hosted", "big"): 1}
    with hot(storage.crossing) as connection:
        file = usage.lines(connection, tenant=storage.account.tenant_id, first=found.first)
        assert usage.spent_by_all(connection, tenant=storage.account.tenant_id) == pytest.approx(found.total.cost)
    assert sum(line.cost for line in file) == pytest.approx(found.total.cost)


def _batch(storage: StorageFixture, *, cost: float | None, count: int = 1) -> UUID:
    """A batch whose items were answered at this cost each."""
    started = submit(storage.web.execution_options(isolation_level="AUTOCOMMIT"), lines(count))
    assert started.batch is not None
    for _ in range(count):
        item = batch_items.claim(storage.crossing, "batch.default", boot=storage.boot, lease_s=60)
        assert item is not None
        result = ItemResult(state="done", answer="a", model="big", endpoint="hosted", cost=cost, tokens_in=7, tokens_cached=0, tokens_out=3)
        assert batch_items.finish(storage.worker, item, result)
    return started.batch


def test_rolling_again_or_at_once_adds_nothing_twice(storage: StorageFixture) -> None:
    _talk(storage, _call())
    both = [Thread(target=_roll, args=(storage,)) for _ in range(4)]
    for one in both:
        one.start()
    for one in both:
        one.join(20)
    _roll(storage)

    assert (_month(storage).total.calls, _month(storage).total.cost) == (1, _COST)


def _insert(connection: Connection, turn: UUID) -> None:
    """Record a call as finish_turn does: its time is that at which the transaction began."""
    connection.exec_driver_sql(
        "insert into model_calls (tenant_id, turn_id, contact_id, attempt, endpoint, model, prompt, tokens_in, cost, outcome)"
        " select tenant_id, id, contact_id, 9, 'late', 'm', '[]', 5, 1.0, 'ok' from turns where id = %s",
        (turn,),
    )


def _late(storage: StorageFixture, *, margin_s: float) -> float:
    """Roll while a transaction that has recorded a call is still open, and again after its commit; returns the money that was counted."""
    _talk(storage, _call(cost=0.0))
    turn = storage.value("select id from turns limit 1")
    # A connection of its own, beside that of whoever rolls.
    with unit(storage.crossing) as late:
        _insert(late, turn)
        began = late.exec_driver_sql("select now()").scalar_one()
        until(lambda: storage.value("select clock_timestamp() > %s + interval '0.3 s'", began), what="the transaction is a while old")
        usage.roll(storage.crossing, margin_s=margin_s)
    until(lambda: storage.value("select now() > %s + make_interval(secs => %s)", began, margin_s + 0.1), what="it is older than the margin")
    usage.roll(storage.crossing, margin_s=margin_s)
    return _month(storage).total.cost


def test_a_call_whose_transaction_commits_after_the_mark_has_passed_its_time_is_not_lost(storage: StorageFixture) -> None:
    assert _late(storage, margin_s=2.0) == 1.0


def test_without_the_margin_it_would_be_lost(storage: StorageFixture) -> None:
    assert _late(storage, margin_s=0.0) == 0.0


def test_a_worker_ends_its_statements_before_the_margin_does(cluster: Cluster) -> None:
    # What the guarantee rests on: whatever a worker has begun is over when the mark passes it.
    from workers.deps import build

    database = cluster.database()
    deps = build(cluster.addresses(database) | {"CHINWAG_MODEL_URL": "http://127.0.0.1:9/v1", "CHINWAG_MODEL_NAME": "m"})
    took = call(deps.worker, "select extract(epoch from current_setting('statement_timeout')::interval)", ())
    for engine in (deps.worker, deps.crossing):
        engine.dispose()
    cluster.drop(database)

    assert 0 < float(took) <= 10.0


def test_a_young_call_waits_for_the_margin(storage: StorageFixture) -> None:
    _talk(storage, _call())
    usage.roll(storage.crossing)

    assert _month(storage).total.calls == 0
    assert _month(storage).counted_until <= datetime.now(UTC)
    # A budget does not wait.
    assert _spent(storage) == _COST


def _spent(storage: StorageFixture) -> float:
    """What the demo bot spent this month."""
    return usage.bot_month(storage.crossing, tenant=storage.account.tenant_id, bot=storage.account.bot_id)


def test_a_long_stop_is_caught_up_with_by_an_hour_at_a_time(storage: StorageFixture) -> None:
    _talk(storage, _call())
    storage.do("update usage_until set at = now() - interval '20 hours'")
    storage.do("update model_calls set created_at = now() - interval '19 hours'")
    assert usage.roll(storage.crossing, margin_s=0)
    assert storage.value("select min(at) < now() - interval '18 hours' from usage_until")

    _roll(storage)

    with hot(storage.crossing) as connection:
        assert connection.exec_driver_sql("select sum(calls) from usage_days").scalar_one() == 1
        assert connection.exec_driver_sql("select min(at) > now() - interval '1 minute' from usage_until").scalar_one()


def test_what_was_counted_stays_when_the_account_is_erased(storage: StorageFixture) -> None:
    _talk(storage, _call())
    _roll(storage)
    storage.do("select remove_account(tenant_id, id) from accounts")
    _roll(storage)

    assert storage.value("select count(*) from model_calls") == 0
    assert (_month(storage).total.cost, _month(storage).bots[0].calls) == (_COST, 1)


def test_another_tenant_sees_nothing_of_it(storage: StorageFixture) -> None:
    _talk(storage, _call())
    _roll(storage)

    assert _month(storage, tenant=uuid4()).total.calls == 0


def test_a_contacts_money_is_of_their_rows_alone(storage: StorageFixture) -> None:
    ada, bo = _talk(storage, _call(), number="34600000001"), _talk(storage, _call(cost=0.5), number="34600000002")
    _talk(storage, _call(cost=0.25), number="34600000001")
    storage.do("update model_calls set created_at = date_trunc('day', now(), 'UTC') - interval '1 s' where cost = 0.25")
    this_month = datetime.now(UTC).day > 1

    assert usage.contact_day(storage.worker, ada, bot=storage.account.bot_id) == _COST
    assert usage.contact_day(storage.worker, bo, bot=storage.account.bot_id) == 0.5
    with unit(storage.web, contact=ada) as connection:
        assert usage.of_contact(connection, ada).month == pytest.approx(_COST + 0.25 if this_month else _COST)
        assert usage.of_contact(connection, bo).month == 0.0


def test_what_another_bot_cost_today_is_not_of_this_ones_budget(storage: StorageFixture) -> None:
    ada = _talk(storage, _call())
    with unit(storage.web) as connection:
        other = personas.put(connection, tenant=storage.account.tenant_id, name="other", persona="Another.").id

    assert usage.contact_day(storage.worker, ada, bot=storage.account.bot_id) == _COST
    assert usage.contact_day(storage.worker, ada, bot=other) == 0.0


def _waits(storage: StorageFixture, *calls: ModelCall, state: str = "wait") -> None:
    """The turn was tried with these calls, and goes on."""
    storage.finish(storage.claimed(), state=state, parts=[], answer=None, retry_s=0, calls=list(calls))


def _recorded(storage: StorageFixture) -> list[tuple[int, str, str, float | None]]:
    return [tuple(row) for row in storage.rows("select attempt, endpoint, outcome, cost from model_calls order by attempt")]


def test_what_a_waiting_turn_paid_for_stays_when_it_is_tried_again(storage: StorageFixture) -> None:
    storage.let_in(a_message())
    _waits(storage, _call(cost=0.3), _away("gpu-1", attempt=2))
    _roll(storage)
    _waits(storage, _away("gpu-1"), _away("gpu-2", attempt=2))
    _waits(storage, _away("gpu-2"))
    storage.answered(calls=[_call(cost=0.5, endpoint="hosted")])
    _roll(storage)

    assert _recorded(storage) == [(1, "house", "ok", 0.3), (2, "hosted", "ok", 0.5), (3, "gpu-2", "ModelUnavailable", None)]
    assert _month(storage).total.cost == _spent(storage) == pytest.approx(0.8)


def test_a_call_that_replaces_one_in_vain_stands_at_its_own_endpoint(storage: StorageFixture) -> None:
    storage.let_in(a_message())
    _waits(storage, _away("gpu-1"), _away("hosted", attempt=2))
    storage.answered(calls=[_call(endpoint="hosted")])
    _roll(storage)

    assert _recorded(storage)[0] == (1, "hosted", "ok", _COST)
    assert [(one.endpoint, one.cost) for one in _month(storage).models] == [("hosted", _COST)]


def _away(endpoint: str, *, attempt: int = 1) -> ModelCall:
    return ModelCall(attempt=attempt, endpoint=endpoint, model="m", prompt=[], outcome="ModelUnavailable")


def _item(storage: StorageFixture) -> batch_items.Item:
    item = batch_items.claim(storage.crossing, "batch.default", boot=storage.boot, lease_s=60)
    assert item is not None
    return item


def test_what_an_item_took_until_the_model_went_away_or_something_broke_is_added_to_its_end(storage: StorageFixture) -> None:
    submit(storage.web.execution_options(isolation_level="AUTOCOMMIT"), lines(1))
    spent = Spent(endpoint="dear", model="big", cost=0.25, tokens_in=10, tokens_cached=0, tokens_out=1)
    assert batch_items.hold(storage.crossing, _item(storage), hold_s=0, spent=spent)
    assert batch_items.retry_later(storage.crossing, _item(storage), after_s=0, reason="error:X", spent=spent)
    assert batch_items.hold(storage.crossing, _item(storage), hold_s=0)
    batch_items.finish(storage.worker, _item(storage), ItemResult(state="done", answer="a", endpoint="house", model="m", tokens_in=3))
    _roll(storage)

    assert (_month(storage).total.cost, _month(storage).total.tokens_in) == (0.5, 23)


def test_an_items_sums_end_at_what_a_column_holds_and_one_estimate_marks_them(storage: StorageFixture) -> None:
    submit(storage.web.execution_options(isolation_level="AUTOCOMMIT"), lines(1))
    most = Spent(
        endpoint="dear", model="big", cost=0.25, tokens_in=2**31 - 1, tokens_cached=2**31 - 1, tokens_out=2**31 - 1, estimated=True
    )
    for _ in range(2):
        assert batch_items.hold(storage.crossing, _item(storage), hold_s=0, spent=most)
    item = _item(storage)
    # As a worker of the version before says it: without a word about estimates.
    ended = '{"state": "done", "answer": "a", "endpoint": "house", "model": "m", "tokens_in": 3, "cost": 0.5}'

    assert call(storage.worker, "select finish_item(%s, %s, %s, %s::jsonb)", (item.batch, item.n, item.token, ended)) is True
    (row,) = storage.rows("select tokens_in, tokens_out, cost, estimated from batch_items")
    assert (row.tokens_in, row.tokens_out, row.cost, row.estimated) == (2**31 - 1, 2**31 - 1, 1.0, True)


def test_what_a_cancelled_batchs_last_items_took_is_counted(storage: StorageFixture) -> None:
    started = submit(storage.web.execution_options(isolation_level="AUTOCOMMIT"), lines(1))
    assert started.batch is not None
    item = _item(storage)
    with unit(storage.web) as connection:
        batches.cancel(connection, started.batch, tenant=storage.account.tenant_id)
    result = ItemResult(state="done", answer="a", model="big", endpoint="hosted", cost=0.25, tokens_in=7)

    assert [batch_items.finish(storage.worker, item, result) for _ in range(2)] == [False, False]
    _roll(storage)
    assert _month(storage).total.cost == 0.25
    with hot(storage.web) as connection:
        found = batches.get(connection, started.batch, tenant=storage.account.tenant_id)
    assert (found.cancelled, found.done, found.running) == (1, 0, 0)


def test_an_item_that_is_asked_again_is_counted_by_what_it_takes_anew(storage: StorageFixture) -> None:
    started = submit(storage.web.execution_options(isolation_level="AUTOCOMMIT"), lines(1))
    assert started.batch is not None
    batch_items.finish(storage.worker, _item(storage), ItemResult(state="failed", reason="garbage", endpoint="house", model="m", cost=0.5))
    _roll(storage)
    with unit(storage.web) as connection:
        batches.retry_failed(connection, started.batch, tenant=storage.account.tenant_id)
    batch_items.finish(storage.worker, _item(storage), ItemResult(state="done", answer="a", endpoint="house", model="m", cost=0.25))
    _roll(storage)

    assert _month(storage).total.cost == 0.75


def test_a_bots_month_ends_with_the_month(storage: StorageFixture) -> None:
    _talk(storage, _call(), number="34600000001")
    _roll(storage)
    _talk(storage, _call(cost=0.5), number="34600000002")
    now = _spent(storage)
    storage.do("update usage_days set day = date_trunc('month', day)::date - 1")
    storage.do("update model_calls set created_at = date_trunc('month', now(), 'UTC') - interval '1 s'")

    assert now == pytest.approx(_COST + 0.5)
    assert _spent(storage) == 0.0


def test_batches_of_a_bot_whose_month_is_spent_wait_until_its_budget_is_raised(storage: StorageFixture) -> None:
    batch = _batch(storage, cost=0.4, count=1)
    submit(storage.web.execution_options(isolation_level="AUTOCOMMIT"), lines(2, text="more"))
    storage_web = storage.web

    def budget(usd: float) -> None:
        with unit(storage_web) as connection:
            connection.exec_driver_sql("update bots set budget_month = %s", (usd,))

    def next_item() -> object:
        return batch_items.claim(storage.crossing, "batch.default", boot=storage.boot, lease_s=60)

    budget(0.4)
    _roll(storage)
    assert usage.hold_spent(storage.crossing) == 1
    assert next_item() is None

    budget(5)
    storage.do("update batches set hold_until = now()")
    assert usage.hold_spent(storage.crossing) == 0
    assert next_item() is not None
    with hot(storage.web) as connection:
        assert batches.spent(connection, batch, tenant=storage.account.tenant_id).cost == 0.4


def test_a_used_up_budget_wants_attention_once_a_day_for_a_bot(storage: StorageFixture) -> None:
    tenant, bot = storage.account.tenant_id, storage.account.bot_id

    def refused(number: str) -> None:
        storage.let_in(a_message(by=(a_phone(number),)))
        storage.end(storage.answered(reason="budget", in_history=False))

    def listed() -> list[tuple[str, int, str | None]]:
        with hot(storage.crossing) as connection:
            assert count(connection, tenant=tenant)[TroubleKind.BUDGET] == len(troubles(connection, tenant=tenant, kind=TroubleKind.BUDGET))
            return [(one.account, one.count, one.reason) for one in troubles(connection, tenant=tenant, kind=TroubleKind.BUDGET)]

    for n in range(3):
        refused(f"3460000000{n}")
    first = listed()
    with unit(storage.crossing) as connection:
        dismiss(connection, tenant=tenant, kind=TroubleKind.BUDGET, id_=bot)
    refused("34600000009")
    after = listed()
    storage.do("update turns set finished_at = finished_at - interval '1 day'")
    yesterday = listed()
    refused("34600000010")

    assert first == [("demo", 3, "contact_day:demo")]
    assert after == []
    assert yesterday == []
    assert listed() == [("demo", 1, "contact_day:demo")]
