"""What is the matter with one of the webhooks that arrive together harms none beside it, and groups do not stand in each other's way."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor

from bots.domain import DeliveryStatus
from bots.storage.database import unit
from tests.integration.test_arrivals import alone, as_arrivals, together
from tests.support.changes import BOB, an_edit, says
from tests.support.storage_fixture import StorageFixture, a_phone, a_status


def _keys(storage: StorageFixture) -> list[str]:
    return [row.event_key for row in storage.rows("select event_key from inbox order by event_key")]


def test_of_a_group_with_something_that_postgres_cannot_store_each_is_to_be_stored_alone(storage: StorageFixture) -> None:
    webhooks = [[says("one", "w1")], [says("never\x00", "w2")], [says("three", "w3", by=BOB)]]

    assert together(storage, webhooks) == {0, 1, 2}
    assert (_keys(storage), storage.value("select count(*) from inbox_keys")) == ([], 0)
    for arrival in as_arrivals(storage, webhooks):
        alone(storage, arrival)
    assert _keys(storage) == ["w1", "w3"]
    assert storage.rows("select reason, convert_from(body, 'utf8') from envelopes where state = 'quarantined'") == [
        ("not_storable", "body 1")
    ]


def test_a_conversation_that_somebody_holds_is_left_out_at_once(storage: StorageFixture) -> None:
    storage.let_in(says("before", "w0"), says("before", "v0", by=BOB))
    with unit(storage.crossing) as other:
        other.exec_driver_sql(
            "select from conversations where contact_id = (select contact_id from inbox where event_key = 'w0') for update"
        )
        began = time.monotonic()
        left_out = together(storage, [[says("one", "w1")], [says("two", "v1", by=BOB)]])
        took = time.monotonic() - began

    assert (left_out, took < 1) == ({0}, True)
    assert _keys(storage) == ["v0", "v1", "w0"]


def test_a_send_that_somebody_holds_is_left_out_at_once(storage: StorageFixture) -> None:
    storage.let_in(says("a question", "w0"))
    storage.end(storage.answered(), external_id="wamid.O")
    with unit(storage.crossing) as other:
        other.exec_driver_sql("select from outbox for update")
        left_out = together(storage, [[a_status("wamid.O", DeliveryStatus.SENT)], [says("two", "v1", by=BOB)]])

    assert left_out == {0}
    assert storage.value("select count(*) from inbox_keys where event_key = 'wamid.O:sent'") == 0


def test_a_status_whose_send_is_being_recorded_is_left_out(storage: StorageFixture) -> None:
    with unit(storage.crossing) as other:
        other.exec_driver_sql("select pg_advisory_xact_lock(hashtext(%s || 'wamid.O'))", (str(storage.account.id),))
        left_out = together(storage, [[a_status("wamid.O", DeliveryStatus.SENT)], [a_status("wamid.P", DeliveryStatus.SENT)]])

    assert left_out == {0}


def test_a_key_that_another_transaction_holds_delays_a_group_by_a_moment_only(storage: StorageFixture) -> None:
    with unit(storage.crossing) as other:
        account = storage.account
        other.exec_driver_sql("insert into inbox_keys values (%s, %s, 'w1')", (account.tenant_id, account.id))
        began = time.monotonic()
        left_out = together(storage, [[says("one", "w1")], [says("two", "v1", by=BOB)]])
        took = time.monotonic() - began
        other.exec_driver_sql("delete from inbox_keys where event_key = 'w1'")

    assert (left_out, took < 0.9) == ({0, 1}, True)


def test_groups_and_single_webhooks_of_the_same_people_do_not_deadlock(storage: StorageFixture, seed: random.Random) -> None:
    people = [a_phone(f"346{n:08d}") for n in range(12)]
    messages = [says(f"line {n}", f"w{n:04d}", by=people[n % len(people)]) for n in range(600)]
    edits = [an_edit(message.event_key, "better", by=message.identities[0]) for message in messages[::25]]

    def deliver(n: int) -> None:
        mine = messages[n * 50 : n * 50 + 50] * 2
        seed.shuffle(mine)
        while mine:
            group, mine = mine[: (size := seed.randint(1, 16))], mine[size:]
            webhooks = [[event] for event in {event.event_key: event for event in group}.values()]
            for place in together(storage, webhooks):
                alone(storage, as_arrivals(storage, webhooks)[place])
        for edit in edits[n * 2 : n * 2 + 2]:
            alone(storage, as_arrivals(storage, [[edit]])[0])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(deliver, sorted([*range(12), *range(12)])))

    assert storage.value("select deadlocks from pg_stat_database where datname = current_database()") == 0
    assert storage.rows("select count(*), count(distinct event_key) from inbox where kind = 'message'") == [(600, 600)]
    assert storage.value("select count(*) from inbox where text = 'better'") == len(edits)
    assert storage.value("select count(*) from contacts") == len(people)
