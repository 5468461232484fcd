"""Conversations live on engines: placed when they are due, kept there, returned when the engine is gone, moved on when it is too full."""

from __future__ import annotations

import re
from uuid import UUID, uuid4

import pytest

from bots.domain import Identity, IdentityKind
from bots.storage import claims, dispatching, placement
from bots.storage.database import hot, unit
from bots.storage.placement import QueueLoad
from bots.storage.queues import engine_queue
from inference.affinity import preference
from tests.support.pages_read import pages_once_planned
from tests.support.processes import until
from tests.support.stack import Stack
from tests.support.storage_fixture import QUEUE, StorageFixture, a_message
from workers.placement import place

_A, _B = engine_queue("default", "a"), engine_queue("default", "b")


def _loads(storage: StorageFixture) -> list[QueueLoad]:
    with hot(storage.crossing) as connection:
        return dispatching.tick(connection, reserve=2).spots


def _place(storage: StorageFixture) -> int:
    """Place as the dispatcher does, and return how many moved."""
    return place(storage.crossing, _loads(storage))


def _lives(storage: StorageFixture, queue: str, *, slots: int = 16, boot: UUID | None = None) -> None:
    claims.heartbeat(storage.crossing, queue, boot=boot or uuid4(), queues=[queue, "batch.default"], slots=slots, busy=0)


def _gone(storage: StorageFixture, queue: str) -> None:
    storage.do("update worker_heartbeats set at = now() - interval '20 seconds' where name = %s", queue)


def _people(storage: StorageFixture, n: int) -> list[UUID]:
    """Let so many people write, and return their conversations."""
    for _ in range(n):
        storage.let_in(a_message(by=(Identity(kind=IdentityKind.PHONE, value=f"34{uuid4().int % 10**9:09d}"),)))
    return [row.id for row in storage.rows("select id from conversations where queue = %s", QUEUE)]


def _queue(storage: StorageFixture, conversation: UUID) -> str:
    return storage.value("select queue from conversations where id = %s", conversation)


def _first(conversation: UUID) -> str:
    return preference(conversation.bytes, [_A, _B])[0]


def _all_on(storage: StorageFixture, queue: str) -> None:
    storage.do("update conversations set queue = %s", queue)


def test_without_engines_nothing_is_looked_for_and_nothing_moves(storage: StorageFixture) -> None:
    claims.heartbeat(storage.crossing, "w", boot=storage.boot, queues=[QUEUE, "deliver", "batch.default"], slots=4, busy=0)
    (one,) = _people(storage, 1)

    assert _loads(storage) == []
    assert _place(storage) == 0
    assert _queue(storage, one) == QUEUE


def test_a_due_conversation_is_placed_on_the_engine_it_prefers_and_counted_there(storage: StorageFixture) -> None:
    boot = uuid4()
    _lives(storage, _A, boot=boot)
    _lives(storage, _B, boot=boot)
    people = _people(storage, 8)

    assert _place(storage) == 8
    assert {one: _queue(storage, one) for one in people} == {one: _first(one) for one in people}
    waiting = {queue.queue: (queue.due, queue.running, queue.slots) for queue in claims.waiting(storage.crossing, reserve=0)}
    assert waiting == {queue: (sum(_first(one) == queue for one in people), 0, 16) for queue in {_first(one) for one in people}}
    assert _place(storage) == 0


def test_what_is_not_due_yet_is_not_placed_yet(storage: StorageFixture) -> None:
    _lives(storage, _A)
    storage.let_in(a_message(), debounce_s=30, cap_s=60)

    assert _place(storage) == 0


def test_a_conversation_stays_with_its_engine_when_more_is_written(storage: StorageFixture) -> None:
    _lives(storage, _A)
    storage.let_in(a_message("one"))
    _place(storage)
    _lives(storage, _B)
    storage.let_in(a_message("two"))

    assert _place(storage) == 0
    assert storage.value("select queue from conversations") == _A


def test_a_conversation_whose_bot_got_another_profile_leaves_its_engine_though_the_names_are_alike(storage: StorageFixture) -> None:
    storage.let_in(a_message("one"))
    storage.do("update conversations set queue = 'reply.default.mini'")
    storage.let_in(a_message("two"))

    assert storage.value("select queue from conversations") == QUEUE


def test_when_an_engine_is_gone_its_conversations_go_to_the_others(storage: StorageFixture) -> None:
    _lives(storage, _A)
    _lives(storage, _B)
    people = _people(storage, 4)
    _all_on(storage, _A)
    _gone(storage, _A)

    assert _place(storage) == 4
    assert {_queue(storage, one) for one in people} == {_B}


def test_when_the_last_engine_is_gone_its_conversations_return_to_the_profile(storage: StorageFixture) -> None:
    people = _people(storage, 3)
    _all_on(storage, _A)

    assert _place(storage) == 3
    assert {_queue(storage, one) for one in people} == {QUEUE}


def test_what_is_in_somebodys_hands_is_not_moved_until_the_lease_is_over(storage: StorageFixture) -> None:
    _people(storage, 1)
    _all_on(storage, _A)
    (claim,) = claims.claim_turns(storage.crossing, _A, boot=uuid4(), lease_s=60, session_s=1800, most=1)
    _lives(storage, _B)

    assert _place(storage) == 0
    assert placement.move(storage.crossing, [(claim.conversation, _A, _B)]) == 0
    storage.do("update conversations set leased_until = now(), ready_at = now()")
    assert _place(storage) == 1
    assert _queue(storage, claim.conversation) == _B


def test_the_newest_due_of_a_hot_engine_go_to_the_one_with_room(storage: StorageFixture) -> None:
    _lives(storage, _A, slots=4)
    _lives(storage, _B, slots=4)
    people = _people(storage, 12)
    for n, one in enumerate(people):
        storage.do("update conversations set ready_at = now() - make_interval(secs => %s), queue = %s where id = %s", 100 - n, _A, one)

    # 12 in all: 6 each, a quarter more is 8.
    assert _place(storage) == 4
    assert [_queue(storage, one) for one in people] == [_A] * 8 + [_B] * 4
    assert _place(storage) == 0


def test_a_paused_accounts_conversations_make_no_engine_hot(storage: StorageFixture) -> None:
    _lives(storage, _A, slots=2)
    _lives(storage, _B, slots=2)
    _people(storage, 8)
    _all_on(storage, _A)
    storage.do("update accounts set state = 'paused'")

    assert _place(storage) == 0


def test_people_on_an_engine_take_slots_from_its_batches(storage: StorageFixture) -> None:
    boot = uuid4()
    _lives(storage, _A, boot=boot)
    _people(storage, 1)
    _all_on(storage, _A)
    assert claims.claim_turns(storage.crossing, _A, boot=boot, lease_s=60, session_s=1800, most=1)
    with unit(storage.web) as connection:
        connection.exec_driver_sql(
            "with b as (insert into batches (tenant_id, bot_id, name, queue, state, created_by)"
            " select tenant_id, id, 'b', 'batch.default', 'running', 'me' from bots returning tenant_id, id)"
            " insert into batch_items (tenant_id, batch_id, n, custom_id, request, ready_at) select tenant_id, id, 1, 'a', '{}', now() from b"
        )
    (batch,) = claims.waiting(storage.crossing, reserve=4)

    assert (batch.running, batch.slots) == (1, 12)


_STATEMENTS = {
    "engine_queues": ("select * from engine_queues()", ()),
    "conversations_to_place": ("select * from conversations_to_place(%s::text[], %s::integer[])", ([QUEUE, _A], [10, 10])),
}


@pytest.mark.parametrize("name", sorted(_STATEMENTS))
def test_looking_walks_along_indexes_alone(storage: StorageFixture, name: str) -> None:
    statement, values = _STATEMENTS[name]
    body = storage.value("select prosrc from pg_proc where proname = %s", name)
    for n, value in enumerate(values, 1):
        body = body.replace(("p_queues", "p_most")[n - 1], "'{" + ",".join(map(str, value)) + "}'::" + ("text[]", "integer[]")[n - 1])
    with hot(storage.crossing) as connection:
        plan = "\n".join(row[0] for row in connection.exec_driver_sql("explain " + body.replace("%", "%%")))

    assert re.findall(r"Seq Scan on (?!worker_heartbeats)\w+", plan) == [], plan
    assert "ix_conversations_due" in plan
    # It runs, too.
    with hot(storage.crossing) as connection:
        assert connection.exec_driver_sql(statement, values or None).all() == []


def test_a_tick_costs_by_the_queues_and_not_by_the_backlog(storage: StorageFixture) -> None:
    _poll(storage)
    _backlog(storage, 5000)

    assert _loads(storage) == []
    assert pages_once_planned(storage.crossing, "select * from engine_queues()") < 60


def test_a_tick_that_was_planned_on_an_empty_house_reads_no_more_in_a_full_one(storage: StorageFixture) -> None:
    claims.heartbeat(storage.crossing, "w", boot=uuid4(), queues=[QUEUE, "deliver", "batch.default"], slots=4, busy=0)
    _poll(storage)
    _backlog(storage, 20_000)

    with hot(storage.crossing) as connection:
        connection.exec_driver_sql("discard plans")

    # A thousand are counted, each with its account.
    assert pages_once_planned(storage.crossing, "select * from everything_waiting(2)") < 5000


def test_the_dispatcher_lets_its_queries_be_planned_anew_with_each_heartbeat(stack: Stack) -> None:
    stack.settles = False
    with stack.owner.begin() as connection:
        # The server's log has no statements by its own settings; this role's, in this database, are the dispatcher's alone.
        connection.exec_driver_sql(f"alter role chinwag_crossing in database {stack.database} set log_statement = 'all'")
    stack.start_dispatcher()

    log = stack.cluster.postgres.child.log

    until(lambda: len(re.findall("discard plans$", log.read_text(), re.MULTILINE)) >= 3, what="three of the dispatcher's heartbeats")


def _poll(storage: StorageFixture) -> None:
    """What the dispatcher polls, often enough for a plan to be kept."""
    for _ in range(10):
        _loads(storage)
        claims.waiting(storage.crossing, reserve=2)


def _backlog(storage: StorageFixture, n: int) -> None:
    _people(storage, 1)
    contact, account, tenant = storage.rows("select contact_id, account_id, tenant_id from conversations")[0]
    storage.do(
        "insert into conversations (tenant_id, account_id, contact_id, thread, queue, ready_at)"
        " select %s, %s, %s, n::text, %s, now() - interval '1 hour' from generate_series(1, %s) n",
        tenant,
        account,
        contact,
        QUEUE,
        n,
    )
