"""The home page's numbers are counted once, whoever counts, also over what was there before they were; and so are the items of a batch."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta

import pytest

from bots.domain import Outcome, Retry
from bots.storage import batch_items, batches, figures
from bots.storage.database import hot
from bots.storage.figures import Span, within
from tests.support.batches import lines, submit
from tests.support.storage_fixture import StorageFixture, a_message, a_phone


def _day(storage: StorageFixture) -> figures.Figures:
    with hot(storage.crossing) as connection:
        return figures.read(connection, tenant=storage.account.tenant_id, span=Span.DAY)


def _count_all(storage: StorageFixture) -> None:
    while figures.count(storage.crossing):
        pass


def _talks(storage: StorageFixture, people: int) -> None:
    for n in range(people):
        storage.let_in(a_message(by=(a_phone(f"3460000{n:04}"),)))
        storage.end(storage.answered())


def _earlier(storage: StorageFixture, by: str) -> None:
    """Everything happened so long before."""
    storage.do(f"update inbox set received_at = received_at - interval '{by}'")
    storage.do(f"update turns set finished_at = finished_at - interval '{by}'")
    storage.do(f"update outbox set created_at = created_at - interval '{by}'")


def test_what_was_there_before_is_counted_and_what_is_counted_is_not_read_again(storage: StorageFixture) -> None:
    _talks(storage, 3)
    _earlier(storage, "2 hours")
    before = _day(storage)

    _count_all(storage)
    counted = _day(storage)
    storage.do("update inbox set kind = 'unsent'")

    assert counted.total == before.total == _day(storage).total
    assert counted.buckets == before.buckets
    assert (counted.total.messages, counted.total.answers) == (3, 3)


def test_counting_again_and_by_two_at_once_adds_nothing_twice(storage: StorageFixture) -> None:
    _talks(storage, 4)
    _earlier(storage, "50 minutes")
    together = threading.Barrier(3)

    def count() -> None:
        together.wait()
        _count_all(storage)

    threads = [threading.Thread(target=count) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    _count_all(storage)

    assert (_day(storage).total.messages, _day(storage).total.answers) == (4, 4)
    assert storage.value("select sum(messages) from figures where step = 'hour'") == 4
    assert storage.value("select sum(messages) from figures where step = 'day'") == 4


def test_what_is_younger_than_a_transaction_may_be_is_left_for_the_next_time(storage: StorageFixture) -> None:
    _talks(storage, 1)
    _count_all(storage)

    assert storage.value("select count(*) from figures") == 0
    assert _day(storage).total.messages == 1


def test_hours_of_a_day_and_days_of_a_week_have_the_same_sums(storage: StorageFixture) -> None:
    for hours in (1, 2, 23, 60):
        _talks(storage, hours % 3 + 1)
        storage.do("update inbox set received_at = now() - %s * interval '1 hour' where received_at > now() - interval '30 minutes'", hours)
        storage.do(
            "update turns set finished_at = now() - %s * interval '1 hour' + interval '3 s' where finished_at > now() - interval '30 minutes'",
            hours,
        )
    _count_all(storage)

    assert storage.value("select sum(messages) from figures where step = 'hour'") == storage.value("select count(*) from inbox")
    assert storage.value("select sum(messages) from figures where step = 'day'") == storage.value("select count(*) from inbox")
    with hot(storage.crossing) as connection:
        week = figures.read(connection, tenant=storage.account.tenant_id, span=Span.WEEK)
    assert week.total.answers == storage.value("select count(*) from turns")
    assert week.total.p50_s == pytest.approx(3, rel=0.03)


def test_a_message_that_fails_late_or_is_sent_once_more_is_counted_as_it_is(storage: StorageFixture) -> None:
    storage.let_in(a_message())
    storage.end(storage.answered(), Outcome.REJECTED, retry=Retry.NEVER, error_code=131047)
    _earlier(storage, "5 hours")
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=5)
    figures.count(storage.crossing)

    def failures() -> list[tuple[str, int]]:
        return [(one.code, one.count) for one in _day(storage).failures]

    storage.do("select count_failed_sends(date_trunc('hour', created_at, 'UTC')) from outbox")
    assert failures() == [("131047", 1)]
    storage.do("update outbox set status = 'delivered', reason = null")
    storage.do("select count_failed_sends(%s)", hour)
    storage.do("select count_failed_sends(date_trunc('hour', created_at, 'UTC')) from outbox")
    assert failures() == []


def test_every_hour_of_the_week_is_looked_at_again_within_an_hour(storage: StorageFixture) -> None:
    hours = set[datetime]()
    for _ in range(60):
        storage.do("update figures_until set sends_at = '-infinity'")
        figures.count(storage.crossing)
        last = storage.value("select sends_hour from figures_until")
        hours |= {last - n * timedelta(hours=1) for n in range(4)}

    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    assert {now - n * timedelta(hours=1) for n in range(2, 7 * 24)} <= hours


@pytest.mark.parametrize(
    ("took", "share", "seconds"),
    [([], 0.5, None), ([0, 0], 0.95, None), ([4], 0.5, 0.05), ([1] + [0] * 99 + [1], 0.5, 1.29), ([1] + [0] * 99 + [9], 0.95, 2.57)],
)
def test_shares_of_times_are_read_from_the_bins(took: list[int], share: float, seconds: float | None) -> None:
    assert within(took, share) == (None if seconds is None else pytest.approx(seconds, rel=0.03))


def test_a_bin_holds_what_its_middle_says_within_two_in_a_hundred(storage: StorageFixture) -> None:
    for seconds in (0.05, 0.4, 1.0, 3.3, 59.0, 3600.0, 86_400.0):
        place = storage.value("select bin_of(%s::double precision)", seconds)
        assert within([0] * place + [1], 0.5) == pytest.approx(seconds, rel=0.0205)
    assert storage.value("select bin_of(1e12::double precision)") == 399
    assert storage.value("select bin_of(-5::double precision)") == 0


def test_the_counts_of_a_batch_are_those_of_its_items_whatever_happens_to_them(storage: StorageFixture) -> None:
    batch = submit(storage.web, lines(12), bot="demo").batch
    assert batch is not None
    boot, claimed = storage.boot, list[batch_items.Item]()
    for _ in range(9):
        item = batch_items.claim(storage.crossing, "batch.default", boot=boot, lease_s=60)
        assert item is not None
        claimed.append(item)
    _same(storage)
    spent = {"tokens_in": 10, "tokens_out": 3, "cost": 0.5, "estimated": True}
    for n, item in enumerate(claimed):
        result = {"state": "done" if n % 3 else "failed", "answer": "yes", "reason": None, "model": "m", **(spent if n % 2 else {})}
        if n < 6:
            storage.do("select finish_item(%s, %s, %s, %s::jsonb)", item.batch, item.n, item.token, json.dumps(result))
        elif n == 6:
            storage.do("select hold_item(%s, %s, %s, 1, %s::jsonb)", item.batch, item.n, item.token, json.dumps(spent))
        elif n == 7:
            storage.do("select retry_item(%s, %s, %s, 1, 'error:x', %s::jsonb)", item.batch, item.n, item.token, json.dumps(spent))
        _same(storage)
    with hot(storage.web) as connection:
        assert batches.retry_failed(connection, batch, tenant=storage.account.tenant_id) == 2
    _same(storage)
    storage.do("select release_leases(%s)", boot)
    _same(storage)
    with hot(storage.web) as connection:
        batches.cancel(connection, batch, tenant=storage.account.tenant_id)
        seen = batches.get(connection, batch, tenant=storage.account.tenant_id)
        assert (seen.waiting, seen.running, seen.done, seen.cancelled) == (0, 0, 4, 8)
        while batches.remove_slice(connection, batch, tenant=storage.account.tenant_id):
            _same(storage)
    assert storage.value("select count(*) from batch_counts") == 0


def test_items_that_end_at_the_same_moment_are_all_counted(storage: StorageFixture) -> None:
    submit(storage.web, lines(12), bot="demo")
    together = threading.Barrier(4)

    def work() -> None:
        together.wait()
        while (item := batch_items.claim(storage.crossing, "batch.default", boot=storage.boot, lease_s=60)) is not None:
            storage.do('select finish_item(%s, %s, %s, \'{"state": "done", "tokens_in": 5}\')', item.batch, item.n, item.token)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    _same(storage)
    assert storage.value("select sum(n) from batch_counts where state = 'done'") == 12
    assert storage.value("select sum(tokens_in) from batch_counts") == 60
    assert storage.value("select state from batches") == "done"


def _same(storage: StorageFixture) -> None:
    columns = "sum(tokens_in) as i, sum(tokens_cached) as c, sum(tokens_out) as o, round(sum(cost)::numeric, 6) as cost"
    counted = storage.rows(
        f"select state, n, i, o, cost from (select state, sum(n) as n, {columns} from batch_counts group by state) x where n <> 0 order by state"
    )
    real = storage.rows(
        "select state, count(*) as n, coalesce(sum(tokens_in), 0) as i, coalesce(sum(tokens_out), 0) as o, coalesce(round(sum(cost)::numeric, 6), 0) as cost"
        " from batch_items group by state order by state"
    )
    assert [tuple(row) for row in counted] == [tuple(row) for row in real]
