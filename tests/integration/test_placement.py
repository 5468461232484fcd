"""Conversations live on engines: placed when they are due, kept there, returned when the engine is gone, moved on when it is too full."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID, uuid4

import pytest

from bots.domain import Identity, IdentityKind
from bots.storage import claims, placement
from bots.storage.database import hot, plan_anew, unit
from bots.storage.queues import engine_queue
from inference.affinity import preference
from tests.support.desk import QUEUE, Desk, a_message
from tests.support.processes import until
from tests.support.stack import Stack
from workers.placement import place

_A, _B = engine_queue("default", "a"), engine_queue("default", "b")


def _lives(desk: Desk, queue: str, *, slots: int = 16, boot: UUID | None = None) -> None:
    claims.heartbeat(desk.crossing, queue, boot=boot or uuid4(), queues=[queue, "batch.default"], slots=slots, busy=0)


def _gone(desk: Desk, queue: str) -> None:
    desk.do("update worker_heartbeats set at = now() - interval '20 seconds' where name = %s", queue)


def _people(desk: Desk, n: int) -> list[UUID]:
    """Let so many people write, and return their conversations."""
    for _ in range(n):
        desk.let_in(a_message(by=(Identity(kind=IdentityKind.PHONE, value=f"34{uuid4().int % 10**9:09d}"),)))
    return [row.id for row in desk.rows("select id from conversations where queue = %s", QUEUE)]


def _queue(desk: Desk, conversation: UUID) -> str:
    return desk.value("select queue from conversations where id = %s", conversation)


def _first(conversation: UUID) -> str:
    return preference(conversation.bytes, [_A, _B])[0]


def _all_on(desk: Desk, queue: str) -> None:
    desk.do("update conversations set queue = %s", queue)


def test_without_engines_nothing_is_looked_for_and_nothing_moves(desk: Desk) -> None:
    claims.heartbeat(desk.crossing, "w", boot=desk.boot, queues=[QUEUE, "deliver", "batch.default"], slots=4, busy=0)
    (one,) = _people(desk, 1)

    assert placement.loads(desk.crossing) == []
    assert place(desk.crossing) == 0
    assert _queue(desk, one) == QUEUE


def test_a_due_conversation_is_placed_on_the_engine_it_prefers_and_counted_there(desk: Desk) -> None:
    boot = uuid4()
    _lives(desk, _A, boot=boot)
    _lives(desk, _B, boot=boot)
    people = _people(desk, 8)

    assert place(desk.crossing) == 8
    assert {one: _queue(desk, one) for one in people} == {one: _first(one) for one in people}
    waiting = {queue.queue: (queue.due, queue.running, queue.slots) for queue in claims.waiting(desk.crossing, reserve=0)}
    assert waiting == {queue: (sum(_first(one) == queue for one in people), 0, 16) for queue in {_first(one) for one in people}}
    assert place(desk.crossing) == 0


def test_what_is_not_due_yet_is_not_placed_yet(desk: Desk) -> None:
    _lives(desk, _A)
    desk.let_in(a_message(), debounce_s=30, cap_s=60)

    assert place(desk.crossing) == 0


def test_a_conversation_stays_with_its_engine_when_more_is_written(desk: Desk) -> None:
    _lives(desk, _A)
    desk.let_in(a_message("one"))
    place(desk.crossing)
    _lives(desk, _B)
    desk.let_in(a_message("two"))

    assert place(desk.crossing) == 0
    assert desk.value("select queue from conversations") == _A


def test_a_conversation_whose_bot_got_another_profile_leaves_its_engine_though_the_names_are_alike(desk: Desk) -> None:
    desk.let_in(a_message("one"))
    desk.do("update conversations set queue = 'reply.default.mini'")
    desk.let_in(a_message("two"))

    assert desk.value("select queue from conversations") == QUEUE


def test_when_an_engine_is_gone_its_conversations_go_to_the_others(desk: Desk) -> None:
    _lives(desk, _A)
    _lives(desk, _B)
    people = _people(desk, 4)
    _all_on(desk, _A)
    _gone(desk, _A)

    assert place(desk.crossing) == 4
    assert {_queue(desk, one) for one in people} == {_B}


def test_when_the_last_engine_is_gone_its_conversations_return_to_the_profile(desk: Desk) -> None:
    people = _people(desk, 3)
    _all_on(desk, _A)

    assert place(desk.crossing) == 3
    assert {_queue(desk, one) for one in people} == {QUEUE}


def test_what_is_in_somebodys_hands_is_not_moved_until_the_lease_is_over(desk: Desk) -> None:
    _people(desk, 1)
    _all_on(desk, _A)
    claim = claims.claim_turn(desk.crossing, _A, boot=uuid4(), lease_s=60, session_s=1800)
    assert claim is not None
    _lives(desk, _B)

    assert place(desk.crossing) == 0
    assert placement.move(desk.crossing, [(claim.conversation, _A, _B)]) == 0
    desk.do("update conversations set leased_until = now(), ready_at = now()")
    assert place(desk.crossing) == 1
    assert _queue(desk, claim.conversation) == _B


def test_the_newest_due_of_a_hot_engine_go_to_the_one_with_room(desk: Desk) -> None:
    _lives(desk, _A, slots=4)
    _lives(desk, _B, slots=4)
    people = _people(desk, 12)
    for n, one in enumerate(people):
        desk.do("update conversations set ready_at = now() - make_interval(secs => %s), queue = %s where id = %s", 100 - n, _A, one)

    # 12 in all: 6 each, a quarter more is 8.
    assert place(desk.crossing) == 4
    assert [_queue(desk, one) for one in people] == [_A] * 8 + [_B] * 4
    assert place(desk.crossing) == 0


def test_a_paused_accounts_conversations_make_no_engine_hot(desk: Desk) -> None:
    _lives(desk, _A, slots=2)
    _lives(desk, _B, slots=2)
    _people(desk, 8)
    _all_on(desk, _A)
    desk.do("update accounts set state = 'paused'")

    assert place(desk.crossing) == 0


def test_people_on_an_engine_take_slots_from_its_batches(desk: Desk) -> None:
    boot = uuid4()
    _lives(desk, _A, boot=boot)
    _people(desk, 1)
    _all_on(desk, _A)
    claim = claims.claim_turn(desk.crossing, _A, boot=boot, lease_s=60, session_s=1800)
    with unit(desk.web) as connection:
        connection.exec_driver_sql(
            "with b as (insert into batches (tenant_id, bot_id, name, queue, state, created_by)"
            " select tenant_id, id, 'b', 'batch.default', 'running', 'me' from bots returning tenant_id, id)"
            " insert into batch_items (tenant_id, batch_id, n, custom_id, request, ready_at) select tenant_id, id, 1, 'a', '{}', now() from b"
        )
    (batch,) = claims.waiting(desk.crossing, reserve=4)

    assert claim is not None
    assert (batch.running, batch.slots) == (1, 12)


_STATEMENTS = {
    "engine_queues": ("select * from engine_queues()", ()),
    "conversations_to_place": ("select * from conversations_to_place(%s::text[], %s::integer[])", ([QUEUE, _A], [10, 10])),
}


@pytest.mark.parametrize("name", sorted(_STATEMENTS))
def test_looking_walks_along_indexes_alone(desk: Desk, name: str) -> None:
    statement, values = _STATEMENTS[name]
    body = desk.value("select prosrc from pg_proc where proname = %s", name)
    for n, value in enumerate(values, 1):
        body = body.replace(("p_queues", "p_most")[n - 1], "'{" + ",".join(map(str, value)) + "}'::" + ("text[]", "integer[]")[n - 1])
    with hot(desk.crossing) as connection:
        plan = "\n".join(row[0] for row in connection.exec_driver_sql("explain " + body.replace("%", "%%")))

    assert re.findall(r"Seq Scan on (?!worker_heartbeats)\w+", plan) == [], plan
    assert "ix_conversations_due" in plan
    # It runs, too.
    with hot(desk.crossing) as connection:
        assert connection.exec_driver_sql(statement, values or None).all() == []


def test_a_tick_costs_by_the_queues_and_not_by_the_backlog(desk: Desk) -> None:
    _poll(desk)
    _backlog(desk, 5000)

    assert placement.loads(desk.crossing) == []
    assert _touched(desk, "select * from queue_spots()") < 60


def test_a_tick_that_was_planned_on_an_empty_house_reads_no_more_in_a_full_one(desk: Desk) -> None:
    claims.heartbeat(desk.crossing, "w", boot=uuid4(), queues=[QUEUE, "deliver", "batch.default"], slots=4, busy=0)
    _poll(desk)
    _backlog(desk, 20_000)

    plan_anew(desk.crossing)

    # A thousand are counted, each with its account.
    assert _touched(desk, "select * from everything_waiting(2)") < 5000


def test_the_dispatcher_lets_its_queries_be_planned_anew_with_each_heartbeat(stack: Stack) -> None:
    stack.settles = False
    with stack.owner.begin() as connection:
        # The server's log has no statements by its own settings; this role's, in this database, are the dispatcher's alone.
        connection.exec_driver_sql(f"alter role chinwag_crossing in database {stack.database} set log_statement = 'all'")
    stack.start_dispatcher()

    log = stack.cluster.postgres.child.log

    until(lambda: len(re.findall("discard plans$", log.read_text(), re.MULTILINE)) >= 3, what="three of the dispatcher's heartbeats")


def _poll(desk: Desk) -> None:
    """What the dispatcher polls, often enough for a plan to be kept."""
    for _ in range(10):
        placement.loads(desk.crossing)
        claims.waiting(desk.crossing, reserve=2)


def _backlog(desk: Desk, n: int) -> None:
    _people(desk, 1)
    contact, account, tenant = desk.rows("select contact_id, account_id, tenant_id from conversations")[0]
    desk.do(
        "insert into conversations (tenant_id, account_id, contact_id, thread, queue, ready_at)"
        " select %s, %s, %s, n::text, %s, now() - interval '1 hour' from generate_series(1, %s) n",
        tenant,
        account,
        contact,
        QUEUE,
        n,
    )


def _touched(desk: Desk, statement: str) -> int:
    """Pages that a statement reads, wherever they were."""
    with hot(desk.crossing) as connection:
        connection.exec_driver_sql(statement).all()
        found: Any = connection.exec_driver_sql(f"explain (analyze, buffers, format json) {statement}").scalar()
    plan = found[0]["Plan"]
    return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
