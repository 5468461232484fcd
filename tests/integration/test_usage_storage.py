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
from tests.support.desk import Desk, a_message, a_phone
from tests.support.processes import until

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


def _talk(desk: Desk, *calls: ModelCall, number: str = "34600111222") -> UUID:
    """A person's message that was answered with these calls; returns the contact."""
    (contact,) = set(desk.let_in(a_message(by=(a_phone(number),))))
    sending = desk.answered(calls=list(calls))
    desk.end(sending)
    return contact


def _month(desk: Desk, tenant: UUID | None = None) -> Month:
    with hot(desk.crossing) as connection:
        return usage.month(
            connection, tenant=tenant or desk.account.tenant_id, first=usage.months(connection, tenant=desk.account.tenant_id)[0]
        )


def _roll(desk: Desk) -> None:
    """Roll with no margin, for nothing else is in flight, until there is no more to add."""
    while usage.roll(desk.crossing, margin_s=0):
        pass


def test_the_sums_are_those_of_the_rows(desk: Desk) -> None:
    _talk(desk, _call(), number="34600000001")
    _talk(desk, _call(cost=None, endpoint="free"), _call(attempt=2, cost=0.5), number="34600000002")
    # A model that was away gave no tokens and took no money: no call that was answered.
    _talk(desk, _call(cost=None, tokens=None), number="34600000003")
    _batch(desk, cost=0.25)
    _roll(desk)
    found = _month(desk)
    rows = desk.rows("select count(*), sum(tokens_in), sum(tokens_out), sum(cost) from model_calls where tokens_in is not null")[0]

    assert (found.total.calls, found.total.tokens_in, found.total.tokens_out) == (rows[0] + 1, rows[1] + 7, rows[2] + 3)
    assert found.total.cost == pytest.approx(rows[3] + 0.25) == pytest.approx(_COST + 0.5 + 0.25)
    assert {(one.kind, one.day): one.cost for one in found.days} == {
        ("talk", datetime.now(UTC).date()): pytest.approx(_COST + 0.5),
        ("batch", datetime.now(UTC).date()): 0.25,
    }
    assert [(one.name, one.calls) for one in found.bots] == [("demo", 4)]
    assert {(one.endpoint, one.model): one.calls for one in found.models} == {("house", "m"): 2, ("free", "m"): 1, ("hosted", "big"): 1}
    with hot(desk.crossing) as connection:
        file = usage.lines(connection, tenant=desk.account.tenant_id, first=found.first)
        assert usage.spent_by_all(connection, tenant=desk.account.tenant_id) == pytest.approx(found.total.cost)
    assert sum(line.cost for line in file) == pytest.approx(found.total.cost)


def _batch(desk: Desk, *, cost: float | None, count: int = 1) -> UUID:
    """A batch whose items were answered at this cost each."""
    started = submit(desk.web.execution_options(isolation_level="AUTOCOMMIT"), lines(count))
    assert started.batch is not None
    for _ in range(count):
        item = batch_items.claim(desk.crossing, "batch.default", boot=desk.boot, lease_s=60)
        assert item is not None
        result = ItemResult(state="done", answer="a", model="big", endpoint="hosted", cost=cost, tokens_in=7, tokens_cached=0, tokens_out=3)
        assert batch_items.finish(desk.worker, item, result)
    return started.batch


def test_rolling_again_or_at_once_adds_nothing_twice(desk: Desk) -> None:
    _talk(desk, _call())
    both = [Thread(target=_roll, args=(desk,)) for _ in range(4)]
    for one in both:
        one.start()
    for one in both:
        one.join(20)
    _roll(desk)

    assert (_month(desk).total.calls, _month(desk).total.cost) == (1, _COST)


def _insert(connection: Connection, turn: UUID) -> None:
    """Record a call as finish_turn does: its time is that at which the transaction began."""
    connection.exec_driver_sql(
        "insert into model_calls (tenant_id, turn_id, contact_id, attempt, endpoint, model, prompt, tokens_in, cost, outcome)"
        " select tenant_id, id, contact_id, 9, 'late', 'm', '[]', 5, 1.0, 'ok' from turns where id = %s",
        (turn,),
    )


def _late(desk: Desk, *, margin_s: float) -> float:
    """Roll while a transaction that has recorded a call is still open, and again after its commit; returns the money that was counted."""
    _talk(desk, _call(cost=0.0))
    turn = desk.value("select id from turns limit 1")
    # A connection of its own, beside that of whoever rolls.
    with unit(desk.crossing) as late:
        _insert(late, turn)
        began = late.exec_driver_sql("select now()").scalar_one()
        until(lambda: desk.value("select clock_timestamp() > %s + interval '0.3 s'", began), what="the transaction is a while old")
        usage.roll(desk.crossing, margin_s=margin_s)
    until(lambda: desk.value("select now() > %s + make_interval(secs => %s)", began, margin_s + 0.1), what="it is older than the margin")
    usage.roll(desk.crossing, margin_s=margin_s)
    return _month(desk).total.cost


def test_a_call_whose_transaction_commits_after_the_mark_has_passed_its_time_is_not_lost(desk: Desk) -> None:
    assert _late(desk, margin_s=2.0) == 1.0


def test_without_the_margin_it_would_be_lost(desk: Desk) -> None:
    assert _late(desk, margin_s=0.0) == 0.0


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


def test_a_young_call_waits_for_the_margin(desk: Desk) -> None:
    _talk(desk, _call())
    usage.roll(desk.crossing)

    assert _month(desk).total.calls == 0
    assert _month(desk).counted_until <= datetime.now(UTC)
    # A budget does not wait.
    assert _spent(desk) == _COST


def _spent(desk: Desk) -> float:
    """What the desk's bot spent this month."""
    return usage.bot_month(desk.crossing, tenant=desk.account.tenant_id, bot=desk.account.bot_id)


def test_a_long_stop_is_caught_up_with_by_an_hour_at_a_time(desk: Desk) -> None:
    _talk(desk, _call())
    desk.do("update usage_until set at = now() - interval '20 hours'")
    desk.do("update model_calls set created_at = now() - interval '19 hours'")
    assert usage.roll(desk.crossing, margin_s=0)
    assert desk.value("select min(at) < now() - interval '18 hours' from usage_until")

    _roll(desk)

    with hot(desk.crossing) as connection:
        assert connection.exec_driver_sql("select sum(calls) from usage_days").scalar_one() == 1
        assert connection.exec_driver_sql("select min(at) > now() - interval '1 minute' from usage_until").scalar_one()


def test_what_was_counted_stays_when_the_account_is_erased(desk: Desk) -> None:
    _talk(desk, _call())
    _roll(desk)
    desk.do("select remove_account(tenant_id, id) from accounts")
    _roll(desk)

    assert desk.value("select count(*) from model_calls") == 0
    assert (_month(desk).total.cost, _month(desk).bots[0].calls) == (_COST, 1)


def test_another_tenant_sees_nothing_of_it(desk: Desk) -> None:
    _talk(desk, _call())
    _roll(desk)

    assert _month(desk, tenant=uuid4()).total.calls == 0


def test_a_contacts_money_is_of_their_rows_alone(desk: Desk) -> None:
    ada, bo = _talk(desk, _call(), number="34600000001"), _talk(desk, _call(cost=0.5), number="34600000002")
    _talk(desk, _call(cost=0.25), number="34600000001")
    desk.do("update model_calls set created_at = date_trunc('day', now(), 'UTC') - interval '1 s' where cost = 0.25")
    this_month = datetime.now(UTC).day > 1

    assert usage.contact_day(desk.worker, ada, bot=desk.account.bot_id) == _COST
    assert usage.contact_day(desk.worker, bo, bot=desk.account.bot_id) == 0.5
    with unit(desk.web, contact=ada) as connection:
        assert usage.of_contact(connection, ada).month == pytest.approx(_COST + 0.25 if this_month else _COST)
        assert usage.of_contact(connection, bo).month == 0.0


def test_what_another_bot_cost_today_is_not_of_this_ones_budget(desk: Desk) -> None:
    ada = _talk(desk, _call())
    with unit(desk.web) as connection:
        other = personas.put(connection, tenant=desk.account.tenant_id, name="other", persona="Another.").id

    assert usage.contact_day(desk.worker, ada, bot=desk.account.bot_id) == _COST
    assert usage.contact_day(desk.worker, ada, bot=other) == 0.0


def _waits(desk: Desk, *calls: ModelCall, state: str = "wait") -> None:
    """The turn was tried with these calls, and goes on."""
    desk.finish(desk.claimed(), state=state, parts=[], answer=None, retry_s=0, calls=list(calls))


def _recorded(desk: Desk) -> list[tuple[int, str, str, float | None]]:
    return [tuple(row) for row in desk.rows("select attempt, endpoint, outcome, cost from model_calls order by attempt")]


def test_what_a_waiting_turn_paid_for_stays_when_it_is_tried_again(desk: Desk) -> None:
    desk.let_in(a_message())
    _waits(desk, _call(cost=0.3), _away("gpu-1", attempt=2))
    _roll(desk)
    _waits(desk, _away("gpu-1"), _away("gpu-2", attempt=2))
    _waits(desk, _away("gpu-2"))
    desk.answered(calls=[_call(cost=0.5, endpoint="hosted")])
    _roll(desk)

    assert _recorded(desk) == [(1, "house", "ok", 0.3), (2, "hosted", "ok", 0.5), (3, "gpu-2", "ModelUnavailable", None)]
    assert _month(desk).total.cost == _spent(desk) == pytest.approx(0.8)


def test_a_call_that_replaces_one_in_vain_stands_at_its_own_endpoint(desk: Desk) -> None:
    desk.let_in(a_message())
    _waits(desk, _away("gpu-1"), _away("hosted", attempt=2))
    desk.answered(calls=[_call(endpoint="hosted")])
    _roll(desk)

    assert _recorded(desk)[0] == (1, "hosted", "ok", _COST)
    assert [(one.endpoint, one.cost) for one in _month(desk).models] == [("hosted", _COST)]


def _away(endpoint: str, *, attempt: int = 1) -> ModelCall:
    return ModelCall(attempt=attempt, endpoint=endpoint, model="m", prompt=[], outcome="ModelUnavailable")


def _item(desk: Desk) -> batch_items.Item:
    item = batch_items.claim(desk.crossing, "batch.default", boot=desk.boot, lease_s=60)
    assert item is not None
    return item


def test_what_an_item_took_until_the_model_went_away_or_something_broke_is_added_to_its_end(desk: Desk) -> None:
    submit(desk.web.execution_options(isolation_level="AUTOCOMMIT"), lines(1))
    spent = Spent(endpoint="dear", model="big", cost=0.25, tokens_in=10, tokens_cached=0, tokens_out=1)
    assert batch_items.hold(desk.crossing, _item(desk), hold_s=0, spent=spent)
    assert batch_items.retry_later(desk.crossing, _item(desk), after_s=0, reason="error:X", spent=spent)
    assert batch_items.hold(desk.crossing, _item(desk), hold_s=0)
    batch_items.finish(desk.worker, _item(desk), ItemResult(state="done", answer="a", endpoint="house", model="m", tokens_in=3))
    _roll(desk)

    assert (_month(desk).total.cost, _month(desk).total.tokens_in) == (0.5, 23)


def test_what_a_cancelled_batchs_last_items_took_is_counted(desk: Desk) -> None:
    started = submit(desk.web.execution_options(isolation_level="AUTOCOMMIT"), lines(1))
    assert started.batch is not None
    item = _item(desk)
    with unit(desk.web) as connection:
        batches.cancel(connection, started.batch, tenant=desk.account.tenant_id)
    result = ItemResult(state="done", answer="a", model="big", endpoint="hosted", cost=0.25, tokens_in=7)

    assert [batch_items.finish(desk.worker, item, result) for _ in range(2)] == [False, False]
    _roll(desk)
    assert _month(desk).total.cost == 0.25
    with hot(desk.web) as connection:
        found = batches.get(connection, started.batch, tenant=desk.account.tenant_id)
    assert (found.cancelled, found.done, found.running) == (1, 0, 0)


def test_an_item_that_is_asked_again_is_counted_by_what_it_takes_anew(desk: Desk) -> None:
    started = submit(desk.web.execution_options(isolation_level="AUTOCOMMIT"), lines(1))
    assert started.batch is not None
    batch_items.finish(desk.worker, _item(desk), ItemResult(state="failed", reason="garbage", endpoint="house", model="m", cost=0.5))
    _roll(desk)
    with unit(desk.web) as connection:
        batches.retry_failed(connection, started.batch, tenant=desk.account.tenant_id)
    batch_items.finish(desk.worker, _item(desk), ItemResult(state="done", answer="a", endpoint="house", model="m", cost=0.25))
    _roll(desk)

    assert _month(desk).total.cost == 0.75


def test_a_bots_month_ends_with_the_month(desk: Desk) -> None:
    _talk(desk, _call(), number="34600000001")
    _roll(desk)
    _talk(desk, _call(cost=0.5), number="34600000002")
    now = _spent(desk)
    desk.do("update usage_days set day = date_trunc('month', day)::date - 1")
    desk.do("update model_calls set created_at = date_trunc('month', now(), 'UTC') - interval '1 s'")

    assert now == pytest.approx(_COST + 0.5)
    assert _spent(desk) == 0.0


def test_batches_of_a_bot_whose_month_is_spent_wait_until_its_budget_is_raised(desk: Desk) -> None:
    batch = _batch(desk, cost=0.4, count=1)
    submit(desk.web.execution_options(isolation_level="AUTOCOMMIT"), lines(2, text="more"))
    desk_web = desk.web

    def budget(usd: float) -> None:
        with unit(desk_web) as connection:
            connection.exec_driver_sql("update bots set budget_month = %s", (usd,))

    def next_item() -> object:
        return batch_items.claim(desk.crossing, "batch.default", boot=desk.boot, lease_s=60)

    budget(0.4)
    _roll(desk)
    assert usage.hold_spent(desk.crossing) == 1
    assert next_item() is None

    budget(5)
    desk.do("update batches set hold_until = now()")
    assert usage.hold_spent(desk.crossing) == 0
    assert next_item() is not None
    with hot(desk.web) as connection:
        assert batches.spent(connection, batch, tenant=desk.account.tenant_id).cost == 0.4


def test_a_used_up_budget_wants_attention_once_a_day_for_a_bot(desk: Desk) -> None:
    tenant, bot = desk.account.tenant_id, desk.account.bot_id

    def refused(number: str) -> None:
        desk.let_in(a_message(by=(a_phone(number),)))
        desk.end(desk.answered(reason="budget", in_history=False))

    def listed() -> list[tuple[str, int, str | None]]:
        with hot(desk.crossing) as connection:
            assert count(connection, tenant=tenant)[TroubleKind.BUDGET] == len(troubles(connection, tenant=tenant, kind=TroubleKind.BUDGET))
            return [(one.account, one.count, one.reason) for one in troubles(connection, tenant=tenant, kind=TroubleKind.BUDGET)]

    for n in range(3):
        refused(f"3460000000{n}")
    first = listed()
    with unit(desk.crossing) as connection:
        dismiss(connection, tenant=tenant, kind=TroubleKind.BUDGET, id_=bot)
    refused("34600000009")
    after = listed()
    desk.do("update turns set finished_at = finished_at - interval '1 day'")
    yesterday = listed()
    refused("34600000010")

    assert first == [("demo", 3, "contact_day:demo")]
    assert after == []
    assert yesterday == []
    assert listed() == [("demo", 1, "contact_day:demo")]
