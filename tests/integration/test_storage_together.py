"""Turns and sends that share a transaction: what one of them meets harms none beside it, and each is done once or not at all."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest
from sqlalchemy.exc import DBAPIError

from bots.domain import DeliveryStatus
from bots.errors import Fenced, Superseded
from bots.storage import claims, outbox, turns
from bots.storage.claims import Claim
from bots.storage.database import unit
from bots.storage.outbox import Acceptance, Acceptances, Sending
from bots.storage.turns import Ended, Finished, Finishes, Finishing, ModelCall, NewFact, TurnResult
from tests.support.processes import until
from tests.support.storage_fixture import QUEUE, StorageFixture, a_message, a_phone, a_status


def _talk(storage: StorageFixture, people: int) -> list[Claim]:
    """Let so many people write in one webhook, and claim them together, in the order of their numbers."""
    storage.let_in(*(a_message(f"I am number {n}", key=f"in.{n}", by=(a_phone(f"3460011100{n}"),)) for n in range(people)))
    found = claims.claim_turns(storage.crossing, QUEUE, boot=storage.boot, lease_s=60, session_s=1800, most=people)
    return sorted(found, key=lambda claim: claim.messages[0].event_key)


def _ended(claim: Claim, **more: Any) -> Finishing:
    values: dict[str, Any] = {
        "state": "answered",
        "asked": claim.messages[0].text,
        "answer": f"to {claim.messages[0].event_key}",
        "parts": ["hello"],
    } | more
    return Finishing(contact=claim.contact, turn=claim.turn, token=claim.token, result=TurnResult(**values))


def _several(storage: StorageFixture, *ended: Finishing) -> list[Ended]:
    return [one for one, _ in turns.finish_several(storage.worker, ended, boot=storage.boot, stale_s=60)]


def _finishes(storage: StorageFixture) -> Finishes:
    return Finishes(storage.worker, boot=storage.boot, stale_s=60)


def _at_once(finishes: Finishes, *ended: Finishing) -> list[Sending | Exception | None]:
    """Finish them from as many threads, and return what came of each."""

    def one(given: Finishing) -> Sending | Exception | None:
        try:
            return finishes.finish(given)
        except (Fenced, Superseded, DBAPIError) as error:
            return error

    with ThreadPoolExecutor(len(ended)) as pool:
        return list(pool.map(one, ended))


def _accepted(sending: Sending, external_id: str | None = None) -> Acceptance:
    return Acceptance(
        contact=sending.contact, attempt=sending.attempt, external_id=external_id or f"out.{sending.message.hex}", http=200, trace="t"
    )


def _states(storage: StorageFixture) -> list[str]:
    return [row[0] for row in storage.rows("select t.state from turns t join inbox i on i.turn_id = t.id order by i.event_key")]


@contextmanager
def _held(storage: StorageFixture, statement: str, *values: object) -> Generator[None]:
    """Another transaction holds these rows."""
    with unit(storage.crossing) as connection:
        assert connection.exec_driver_sql(statement, values).all()
        yield


def test_several_free_slots_claim_several_conversations_and_none_twice(storage: StorageFixture) -> None:
    found = _talk(storage, 5)
    more = claims.claim_turns(storage.crossing, QUEUE, boot=storage.boot, lease_s=60, session_s=1800, most=5)

    assert len({claim.conversation for claim in found}) == 5
    assert [claim.messages[0].text for claim in found] == [f"I am number {n}" for n in range(5)]
    assert more == []


def test_a_claim_of_several_takes_up_open_turns_beside_new_ones_and_leaves_what_has_nothing_to_answer(storage: StorageFixture) -> None:
    first, second = _talk(storage, 2)
    storage.finish(first, state="retry", answer=None, parts=[], retry_s=0.0)
    storage.finish(second)
    storage.let_in(a_message("one more", key="in.9", by=(a_phone("34600111009"),)))
    storage.do("update conversations set ready_at = now() - interval '1 second' where leased_by is null")
    found = claims.claim_turns(storage.crossing, QUEUE, boot=storage.boot, lease_s=60, session_s=1800, most=9)

    assert {(claim.messages[0].event_key, claim.number, claim.tries) for claim in found} == {("in.0", 1, 1), ("in.9", 1, 0)}
    assert {claim.token for claim in found if claim.turn == first.turn} == {first.token + 1}
    assert storage.value("select ready_at is null from conversations where id = %s", second.conversation)


def test_a_worker_of_the_version_before_claims_one_at_a_time(storage: StorageFixture) -> None:
    storage.let_in(*(a_message("hello", by=(a_phone(f"3460011100{n}"),)) for n in range(2)))
    found = [storage.value("select claim_turn(%s, %s, 60, 1800)", QUEUE, storage.boot) for _ in range(3)]

    assert len({one["turn"] for one in found[:2]}) == 2
    assert [one["messages"][0]["text"] for one in found[:2]] == ["hello", "hello"]
    assert found[2] is None


def test_an_answer_that_is_dropped_for_what_came_meanwhile_harms_none_that_end_with_it(storage: StorageFixture) -> None:
    talk = _talk(storage, 4)
    storage.let_in(a_message("and I live in Oslo", key="in.1b", by=(a_phone("34600111001"),)))
    call = ModelCall(attempt=1, endpoint="e", model="m", prompt=[], outcome="ok", tokens_in=5, tokens_out=5, cost=0.5)

    came = _at_once(_finishes(storage), *(_ended(claim, takes_more=True, calls=[call]) for claim in talk))

    assert [type(one) for one in came] == [Sending, Superseded, Sending, Sending]
    assert storage.rows(
        "select t.state, t.reason, t.answer from turns t join inbox i on i.turn_id = t.id where i.event_key in ('in.1', 'in.2') order by i.event_key"
    ) == [
        ("open", "superseded", None),
        ("answered", None, "to in.2"),
    ]
    assert storage.value("select count(*) from model_calls where cost = 0.5") == 4
    assert storage.value("select count(*) from outbox") == 3
    # The same again, as after a lost answer.
    with pytest.raises(Superseded):
        _finishes(storage).finish(_ended(talk[1], takes_more=True, calls=[call]))
    storage.do("update conversations set ready_at = now()")
    again = storage.claimed()
    assert [message.text for message in again.messages] == ["I am number 1", "and I live in Oslo"]
    assert isinstance(_finishes(storage).finish(_ended(again, takes_more=True, calls=[call])), Sending)
    assert storage.value("select count(*) from model_calls") == 5


def test_turns_that_end_together_each_have_their_own_result(storage: StorageFixture) -> None:
    ended = _several(storage, *(_ended(claim) for claim in _talk(storage, 3)))

    assert all(isinstance(one, Finished) and one.sending is not None for one in ended)
    assert storage.rows("select t.answer, i.event_key from turns t join inbox i on i.turn_id = t.id order by 2") == [
        (f"to in.{n}", f"in.{n}") for n in range(3)
    ]
    assert storage.value("select count(*) from send_attempts where finished_at is null") == 3


def test_one_whose_lease_has_passed_on_is_fenced_and_those_beside_it_end(storage: StorageFixture) -> None:
    late, *others = _talk(storage, 3)
    storage.do("update conversations set lease_token = lease_token + 1 where id = %s", late.conversation)
    came = _at_once(_finishes(storage), *(_ended(claim) for claim in (late, *others)))

    assert isinstance(came[0], Fenced)
    assert all(isinstance(one, Sending) for one in came[1:])
    assert _states(storage) == ["open", "answered", "answered"]


@pytest.mark.parametrize("bad", ["a\0b", "\ud800"])
def test_one_that_cannot_be_stored_fails_alone(storage: StorageFixture, bad: str) -> None:
    spoilt, *others = (_ended(claim, answer=bad) if n == 0 else _ended(claim) for n, claim in enumerate(_talk(storage, 3)))
    with ThreadPoolExecutor(3) as pool:
        finishes = _finishes(storage)
        futures = [pool.submit(finishes.finish, one) for one in (spoilt, *others)]
        with pytest.raises((DBAPIError, ValueError)):
            futures[0].result()
        sent = [future.result() for future in futures[1:]]

    assert all(isinstance(one, Sending) for one in sent)
    assert _states(storage) == ["open", "answered", "answered"]
    assert storage.value("select count(*) from outbox") == 2


def test_nothing_of_a_group_is_stored_where_one_of_it_cannot_be(storage: StorageFixture) -> None:
    fine, spoilt = _talk(storage, 2)
    with pytest.raises(DBAPIError):
        _several(storage, _ended(fine), _ended(spoilt, answer="a\0b"))

    assert _states(storage) == ["open", "open"]
    assert storage.value("select count(*) from outbox") == 0


def test_a_conversation_that_another_transaction_has_holds_up_nobody_beside_it(storage: StorageFixture) -> None:
    held, *others = _talk(storage, 3)
    finishes = _finishes(storage)
    with ThreadPoolExecutor(3) as pool:
        with _held(storage, "select id from conversations where id = %s for update", held.conversation):
            waits = pool.submit(finishes.finish, _ended(held))
            sent = [pool.submit(finishes.finish, _ended(claim)).result(timeout=4) for claim in others]
            assert not waits.done()
        assert isinstance(waits.result(timeout=10), Sending)

    assert all(isinstance(one, Sending) for one in sent)
    assert _states(storage) == ["answered"] * 3


def test_a_row_that_is_met_only_on_the_way_ends_the_group_and_each_is_done_alone(storage: StorageFixture) -> None:
    held, *others = _talk(storage, 3)
    finishes = _finishes(storage)
    with ThreadPoolExecutor(3) as pool:
        # A foreign key's lock waits for it.
        with _held(storage, "select id from contacts where id = %s for update", held.contact):
            fact = NewFact(kind="name", text="Ada", source=held.messages[0].id, topic="")
            waits = pool.submit(finishes.finish, _ended(held, facts=[fact]))
            sent = [pool.submit(finishes.finish, _ended(claim)).result(timeout=4) for claim in others]
            assert not waits.done()
        assert isinstance(waits.result(timeout=10), Sending)

    assert all(isinstance(one, Sending) for one in sent)
    assert storage.value("select count(*) from send_attempts") == 3


def test_in_a_group_each_turn_sees_its_own_contact_alone(storage: StorageFixture) -> None:
    ada, bob = _talk(storage, 2)
    facts = [NewFact(kind="name", text="Ada", source=ada.messages[0].id, topic="")]
    # Bob's turn names a message of Ada's, and a contact who is not his.
    stolen = _ended(bob, facts=facts, untold=[ada.messages[0].id])
    as_ada = Finishing(contact=ada.contact, turn=bob.turn, token=bob.token, result=TurnResult(state="answered", answer="x", parts=["x"]))
    ended = _several(storage, _ended(ada), stolen, as_ada)

    assert isinstance(ended[1], Finished)
    # It is not there for Ada: whoever asks alone is told that it is fenced.
    assert ended[2] == "busy"
    assert storage.value("select count(*) from memories") == 0
    assert storage.value("select reason from inbox where id = %s", ada.messages[0].id) is None
    assert storage.rows("select distinct o.contact_id = t.contact_id from outbox o join turns t on t.id = o.turn_id") == [(True,)]


def test_a_turn_that_was_stored_before_its_answer_was_lost_is_stored_once(storage: StorageFixture) -> None:
    calls = [ModelCall(attempt=1, endpoint="e", model="m", prompt=[], outcome="ok", tokens_in=1, cost=1.0)]
    ended = [_ended(claim, calls=calls) for claim in _talk(storage, 3)]
    first = _several(storage, *ended)
    again = _several(storage, *ended)

    assert again == [msgspec.structs.replace(one, again=True) for one in first if isinstance(one, Finished)]
    assert [storage.value(f"select count(*) from {table}") for table in ("outbox", "send_attempts", "model_calls")] == [3, 3, 3]


def test_a_group_whose_connection_breaks_is_done_once(storage: StorageFixture) -> None:
    claimed = _talk(storage, 4)
    fact = NewFact(kind="name", text="Ada", source=claimed[0].messages[0].id, topic="")
    finishes = _finishes(storage)
    with ThreadPoolExecutor(4) as pool:
        with _held(storage, "select id from contacts where id = %s for update", claimed[0].contact):
            futures = [pool.submit(finishes.finish, _ended(claim, facts=[fact] if claim is claimed[0] else [])) for claim in claimed]
            until(lambda: _break_one(storage), what="the connection of whoever waits was broken")
        sent = [future.result(timeout=20) for future in futures]

    assert all(isinstance(one, Sending) for one in sent)
    assert storage.value("select count(*) from memories") == 1
    assert [storage.value(f"select count(*) from {table}") for table in ("outbox", "send_attempts")] == [4, 4]


def _break_one(storage: StorageFixture) -> bool:
    """Break the connection of a worker that waits for a lock; False where none waits."""
    with unit(storage.worker) as connection:
        found = connection.exec_driver_sql(
            "select pg_terminate_backend(pid) from pg_stat_activity where usename = current_user and wait_event_type = 'Lock' limit 1"
        )
        return bool(found.scalar())


def test_acceptances_that_are_recorded_together_each_settle_their_own_message(storage: StorageFixture) -> None:
    sendings = [_sent(storage, one) for one in _several(storage, *(_ended(claim, parts=["1", "2"]) for claim in _talk(storage, 3)))]
    said = outbox.end_several(storage.worker, [_accepted(one) for one in sendings], next_part_s=3)

    assert said == ["accepted"] * 3
    assert (
        storage.value("select count(*) from outbox where status = 'accepted' and external_id = 'out.' || replace(id::text, '-', '')") == 3
    )
    assert (
        storage.value("select count(*) from outbox where part = 2 and status = 'queued' and not_before > now() + interval '1 second'") == 3
    )
    assert storage.value("select count(*) from send_attempts where outcome = 'accepted' and trace_id = 't' and http_status = 200") == 3


def test_an_id_that_another_message_has_spoils_one_acceptance_alone(storage: StorageFixture) -> None:
    sendings = [_sent(storage, one) for one in _several(storage, *(_ended(claim) for claim in _talk(storage, 3)))]
    storage.end(sendings[0], external_id="out.same")
    acceptances = Acceptances(storage.worker, reconcile_s=90, next_part_s=3)

    def end(sending: Sending, external_id: str) -> str | None:
        try:
            return acceptances.end(contact=sending.contact, attempt=sending.attempt, external_id=external_id)
        except outbox.NotStorable:
            return "not stored"

    with ThreadPoolExecutor(2) as pool:
        came = list(pool.map(end, sendings[1:], ["out.same", "out.own"]))

    assert came == ["not stored", "accepted"]
    assert [row[0] for row in storage.rows("select outcome from send_attempts order by started_at, outcome")].count("unknown") == 1


def test_an_acceptance_whose_message_is_held_waits_alone(storage: StorageFixture) -> None:
    held, *others = (_sent(storage, one) for one in _several(storage, *(_ended(claim) for claim in _talk(storage, 3))))
    acceptances = Acceptances(storage.worker, reconcile_s=90, next_part_s=3)

    def end(sending: Sending) -> str | None:
        return acceptances.end(contact=sending.contact, attempt=sending.attempt, external_id=f"out.{sending.message.hex}")

    with ThreadPoolExecutor(3) as pool:
        with _held(storage, "select id from outbox where id = %s for update", held.message):
            waits = pool.submit(end, held)
            assert [pool.submit(end, one).result(timeout=4) for one in others] == ["accepted"] * 2
            assert not waits.done()
        assert waits.result(timeout=10) == "accepted"


def test_a_status_that_came_before_the_acceptance_counts(storage: StorageFixture) -> None:
    (sending,) = (_sent(storage, one) for one in _several(storage, _ended(_talk(storage, 1)[0])))
    storage.let_in(a_status("out.1", DeliveryStatus.READ))
    outbox.end_several(storage.worker, [_accepted(sending, "out.1")], next_part_s=3)

    assert storage.value("select status from outbox") == "read"


def test_one_that_was_settled_in_another_way_changes_nothing(storage: StorageFixture) -> None:
    (sending,) = (_sent(storage, one) for one in _several(storage, _ended(_talk(storage, 1)[0])))
    storage.end(sending, external_id="out.1")
    acceptances = Acceptances(storage.worker, reconcile_s=90, next_part_s=3)

    assert outbox.end_several(storage.worker, [_accepted(sending, "out.1")], next_part_s=3) == ["busy"]
    assert acceptances.end(contact=sending.contact, attempt=sending.attempt, external_id="out.1") == "accepted"
    assert storage.value("select sends from outbox") == 1


def test_groups_and_webhooks_about_the_same_people_do_not_deadlock(storage: StorageFixture) -> None:
    deadlocks = "select deadlocks from pg_stat_database where datname = current_database()"
    before = storage.value(deadlocks)
    people = [a_phone(f"3460011100{n}") for n in range(6)]
    finishes, acceptances = _finishes(storage), Acceptances(storage.worker, reconcile_s=90, next_part_s=3)

    def end(claim: Claim) -> None:
        sending = finishes.finish(_ended(claim))
        if sending is not None:
            acceptances.end(contact=sending.contact, attempt=sending.attempt, external_id=f"out.{sending.message}")

    def write(step: int) -> None:
        # What everybody says, and what was read of what they were sent, in one order and in the other.
        known = [row[0] for row in storage.rows("select external_id from outbox where external_id is not null order by seq desc limit 6")]
        said = (a_message("hello", by=(person,)) for person in people[::step])
        storage.let_in(*said, *(a_status(one, DeliveryStatus.READ) for one in known[::step]))

    with ThreadPoolExecutor(8) as pool:
        for _ in range(25):
            found = claims.claim_turns(storage.crossing, QUEUE, boot=storage.boot, lease_s=60, session_s=1800, most=6)
            jobs = [*(pool.submit(end, claim) for claim in found), pool.submit(write, 1), pool.submit(write, -1)]
            for job in jobs:
                job.result()

    assert storage.value(deadlocks) == before
    assert storage.value("select count(*) from turns where state = 'answered'") > 100
    assert storage.value("select count(*) from (select turn_id from outbox group by 1 having count(*) > 1) x") == 0
    assert storage.value("select count(*) from outbox where status = 'sending'") == 0


def _sent(storage: StorageFixture, ended: Ended) -> Sending:
    assert isinstance(ended, Finished)
    assert ended.sending is not None
    return ended.sending
