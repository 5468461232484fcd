"""What is old goes in small steps and blocks nobody: webhooks, statuses, prompts and what they repeated; and an account with all that is in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from alembic import command as alembic
from alembic.config import Config

from bots.admin.accounts import changes
from bots.domain import DeliveryStatus
from bots.errors import NotFound
from bots.storage import batch_items, claims, setups
from bots.storage.database import open_engine, unit
from bots.storage.turns import ModelCall, NewFact, Recalled
from tests.support.batches import lines, submit
from tests.support.cluster import Cluster
from tests.support.storage_fixture import StorageFixture, a_message, a_phone, a_status

_ROOT = Path(__file__).parents[2]
_BEFORE = "0010"
_LEFT = ("contacts", "conversations", "inbox", "inbox_keys", "turns", "outbox", "send_attempts", "statuses", "envelopes", "envelope_contacts", "memories", "model_calls", "recalls")  # fmt: skip


def _a_turn(storage: StorageFixture, text: str, number: str = "34600111222", *, repeats: bool = False) -> None:
    """A turn with a stored prompt, a fact, and a status of its answer; repeats: its prompt had what is remembered."""
    storage.let_in(a_message(text, by=(a_phone(number),)))
    claim = storage.claimed()
    call = ModelCall(
        attempt=1, endpoint="e", model="m", prompt=[{"role": "user", "content": text}], tokens_in=1, tokens_cached=0, tokens_out=1,
        first_token_ms=1.0, total_ms=2.0, outcome="ok",
    )  # fmt: skip
    facts = [NewFact(source=claim.messages[0].id, kind="likes", text=text)] if not repeats else []
    recalls = [Recalled(memory=one.id, reason="known") for one in claim.memories] if repeats else []
    sending = storage.finish(claim, calls=[call], facts=facts, recalls=recalls)
    assert sending is not None
    storage.end(sending)
    storage.let_in(a_status(f"wamid.OUT{sending.message.hex}", DeliveryStatus.DELIVERED, correlation=sending.message))


def _older(storage: StorageFixture, days: int) -> None:
    for table, column in (("envelopes", "received_at"), ("statuses", "received_at"), ("turns", "finished_at")):
        storage.do(f"update {table} set {column} = {column} - %s * interval '1 day'", days)


def _count(storage: StorageFixture, table: str) -> int:
    return storage.value(f"select count(*) from {table}")


def test_what_is_older_than_its_days_goes_and_what_is_younger_stays(storage: StorageFixture) -> None:
    _a_turn(storage, "tea")
    _a_turn(storage, "more tea", repeats=True)
    _older(storage, 31)
    _a_turn(storage, "coffee", repeats=True)

    assert claims.keep_house(storage.crossing, envelope_days=30) is False

    assert storage.rows("select jsonb_array_length(prompt) from model_calls order by created_at") == [(0,), (0,), (1,)]
    assert storage.value("select min(t.number) from recalls r join turns t on t.id = r.turn_id") == 3
    # A message and a status of the young turn.
    assert (_count(storage, "envelopes"), _count(storage, "envelope_contacts"), _count(storage, "statuses")) == (2, 1, 1)
    assert (_count(storage, "turns"), _count(storage, "inbox"), _count(storage, "outbox"), _count(storage, "memories")) == (3, 3, 3, 1)
    assert storage.value("select status from outbox order by seq limit 1") == "delivered"


def test_the_newest_turn_of_a_talk_still_explains_itself(storage: StorageFixture) -> None:
    _a_turn(storage, "tea")
    _a_turn(storage, "more tea", repeats=True)
    _older(storage, 31)

    claims.keep_house(storage.crossing, envelope_days=30)

    assert _count(storage, "recalls") == 1


def test_a_repeated_status_of_a_swept_one_changes_nothing(storage: StorageFixture) -> None:
    _a_turn(storage, "tea")
    external, message = storage.rows("select external_id, id from outbox")[0]
    _older(storage, 31)
    claims.keep_house(storage.crossing, envelope_days=30)

    storage.let_in(a_status(external, DeliveryStatus.DELIVERED, correlation=message))

    assert _count(storage, "statuses") == 0
    assert storage.value("select status from outbox") == "delivered"


def test_what_is_in_quarantine_waits_without_its_body(storage: StorageFixture) -> None:
    storage.let_in(quarantine="unreadable", body=b"secret")
    _older(storage, 31)

    claims.keep_house(storage.crossing, envelope_days=30)

    assert storage.rows("select state, body from envelopes") == [("quarantined", None)]


def test_it_is_done_in_portions_until_nothing_is_left(storage: StorageFixture) -> None:
    storage.do(
        "insert into envelopes (tenant_id, account_id, state, received_at) select %s, %s, 'parsed', now() - interval '40 days' from generate_series(1, 1100)",
        storage.account.tenant_id, storage.account.id,
    )  # fmt: skip

    assert [claims.keep_house(storage.crossing, envelope_days=30) for _ in range(3)] == [True, True, False]
    assert _count(storage, "envelopes") == 0


def test_what_somebody_holds_is_left_for_the_next_time_and_nobody_waits(storage: StorageFixture) -> None:
    _a_turn(storage, "tea")
    _older(storage, 31)
    with unit(storage.crossing) as other:
        other.exec_driver_sql("select from envelopes order by received_at limit 1 for update")
        # Whoever waits for a lock gives up after five seconds, and this would raise.
        claims.keep_house(storage.crossing, envelope_days=30)
        assert _count(storage, "envelopes") == 1
    claims.keep_house(storage.crossing, envelope_days=30)

    assert _count(storage, "envelopes") == 0


def test_an_account_goes_in_parts_with_all_that_is_in_it_and_nobody_elses(storage: StorageFixture) -> None:
    other = storage.another_account("stays")
    for n in range(5):
        _a_turn(storage, f"tea {n}", f"3460000000{n}")
    storage.let_in(a_message(by=(a_phone("34600000001"),)))
    storage.do("insert into contacts (tenant_id, name) values (%s, 'stays')", storage.account.tenant_id)
    storage.do(
        "insert into conversations (tenant_id, account_id, contact_id, queue) select tenant_id, %s, id, 'reply.default' from contacts where name = 'stays'", other
    )  # fmt: skip
    parts = 0
    while any(_part(storage, 2).values()):
        parts += 1
        if parts == 2:
            # Somebody writes meanwhile.
            storage.let_in(a_message(by=(a_phone("34600000009"),)))

    assert parts >= 3
    counts = changes.remove(storage.deps, storage.operator(), storage.account.id)
    assert counts["conversations"] == 0
    assert {table: _count(storage, table) for table in _LEFT} == dict.fromkeys(_LEFT, 0) | {"contacts": 1, "conversations": 1}
    assert storage.rows("select name from accounts") == [("stays",)]


def test_a_conversation_that_somebody_works_on_is_left_for_the_next_part(storage: StorageFixture) -> None:
    _a_turn(storage, "tea")
    _a_turn(storage, "tea", "34600000001")
    with unit(storage.crossing) as other:
        other.exec_driver_sql("select from conversations order by created_at limit 1 for update")
        assert _part(storage, 10)["conversations"] == 1
    assert _part(storage, 10)["conversations"] == 1


def _part(storage: StorageFixture, most: int) -> dict[str, int]:
    return storage.value("select remove_part(%s, %s, %s)", storage.account.tenant_id, storage.account.id, most)


def test_removing_an_account_says_how_much_went(storage: StorageFixture) -> None:
    for n in range(3):
        _a_turn(storage, f"tea {n}", f"3460000000{n}")

    counts = changes.remove(storage.deps, storage.operator(), storage.account.id)

    assert {name: counts[name] for name in ("contacts", "conversations", "inbox", "turns", "outbox", "memories", "statuses")} == {
        "contacts": 3, "conversations": 3, "inbox": 3, "turns": 3, "outbox": 3, "memories": 3, "statuses": 3,
    }  # fmt: skip
    with unit(storage.crossing) as connection, pytest.raises(NotFound):
        setups.erase(connection, tenant=storage.account.tenant_id, account=storage.account.id)


def test_an_account_whose_people_wrote_so_much_that_a_part_takes_its_time_goes_all_the_same(
    cluster: Cluster, storage: StorageFixture
) -> None:
    _a_turn(storage, "tea")
    database = storage.crossing.url.database
    assert database is not None
    with cluster.engine(database).begin() as owner:
        owner.exec_driver_sql(
            "create function take_time() returns trigger language plpgsql as $$ begin perform pg_sleep(0.5); return old; end $$"
        )
        owner.exec_driver_sql("create trigger slow before delete on turns for each row execute function take_time()")
    hasty = open_engine(storage.crossing.url.render_as_string(hide_password=False), pool=2, name="web", statement_timeout_s=0.25)

    counts = changes.remove(replace(storage.deps, crossing=hasty), storage.operator(), storage.account.id)
    hasty.dispose()

    assert (counts["turns"], _count(storage, "accounts")) == (1, 0)


@pytest.fixture
def to(cluster: Cluster, storage: StorageFixture) -> Callable[[str], None]:
    """Brings the database to a revision, up or down."""

    def move(database: str, revision: str) -> None:
        config = Config(str(_ROOT / "alembic.ini"))
        config.set_main_option("script_location", str(_ROOT / "migrations"))
        with cluster.engine(database).connect() as connection:
            config.attributes["connection"] = connection
            (alembic.downgrade if revision == _BEFORE else alembic.upgrade)(config, revision)
            connection.commit()

    return partial(move, str(storage.crossing.url.database))


def test_a_batch_of_the_version_before_is_counted_by_the_upgrade(storage: StorageFixture, to: Callable[[str], None]) -> None:
    to(_BEFORE)
    submit(storage.web, lines(6), bot="demo")
    for n in range(3):
        item = batch_items.claim(storage.crossing, "batch.default", boot=storage.boot, lease_s=60)
        assert item is not None
        if n:
            storage.do('select finish_item(%s, %s, %s, \'{"state": "done", "tokens_in": 5, "cost": 0.5}\')', item.batch, item.n, item.token)
    to("head")

    assert storage.rows("select state, n, tokens_in, cost, priced from batch_counts order by state") == [
        ("done", 2, 10, 1.0, 2),
        ("running", 1, 0, 0.0, 0),
        ("waiting", 3, 0, 0.0, 0),
    ]
