"""Throttles, seen from storage: one person, one account or one app is slowed down, and nobody else."""

from __future__ import annotations

import time
from uuid import UUID

import pytest

from bots.domain import Outcome, Retry, Scope
from bots.storage.database import unit
from bots.storage.outbox import Sending
from tests.integration.test_storage_outage import due, passes, says, state, tries
from tests.support.storage_fixture import StorageFixture, a_message, a_phone


def throttled(
    storage: StorageFixture, sending: Sending | None, scope: Scope = Scope.ACCOUNT, *, retry_after_s: float | None = None
) -> None:
    assert sending is not None
    code = {Scope.PERSON: 131056, Scope.ACCOUNT: 130429, Scope.APP: 4}[scope]
    storage.end(sending, Outcome.REJECTED, retry=Retry.LATER, scope=scope, error_code=code, retry_after_s=retry_after_s)


def moved_to(storage: StorageFixture, account: UUID, body: str) -> None:
    """Let a queued answer belong to another account."""
    storage.do("update conversations set account_id = %s where id = (select conversation_id from outbox where body = %s)", account, body)
    storage.do("update outbox set account_id = %s where body = %s", account, body)


def fill(storage: StorageFixture, count: int) -> None:
    """Let so many people's answers wait."""
    tenant, account = storage.account.tenant_id, storage.account.id
    storage.do(
        """
        with people as (insert into contacts (tenant_id) select %s from generate_series(1, %s) returning id),
        talks as (insert into conversations (tenant_id, account_id, contact_id, queue) select %s, %s, id, 'q' from people returning id, contact_id),
        done as (insert into turns (tenant_id, conversation_id, contact_id, number, state)
            select %s, id, contact_id, 1, 'answered' from talks returning id, conversation_id, contact_id)
        insert into outbox (tenant_id, turn_id, part, account_id, contact_id, conversation_id, body, not_before)
        select %s, id, 1, %s, contact_id, conversation_id, 'waiting', now() from done
        """,
        *(tenant, count, tenant, account, tenant, tenant, account),
    )


def wait_s(storage: StorageFixture) -> float:
    return float(storage.value("select extract(epoch from until - now()) from send_limits"))


def test_a_throttled_account_sends_nothing_until_the_platforms_time_is_over(storage: StorageFixture) -> None:
    throttled(storage, says(storage, 0), retry_after_s=40)

    assert says(storage, 1) is None
    assert (storage.next_try(), due(storage)) == (None, 0)
    assert 38 < wait_s(storage) <= 40


def test_then_one_probe_goes_and_its_acceptance_opens_slowly(storage: StorageFixture) -> None:
    throttled(storage, says(storage, 0), retry_after_s=40)
    for n in range(1, 10):
        says(storage, n)
    passes(storage)

    probe = storage.next_send()
    assert probe is not None
    # The one that was refused is still the first.
    assert probe.text == "answer 0"
    assert (storage.next_try(), due(storage)) == (None, 0)
    storage.end(probe)
    assert (state(storage), storage.next_try()) == ("rising", None)


def test_a_probe_that_is_refused_doubles_the_pause(storage: StorageFixture) -> None:
    throttled(storage, says(storage, 0))
    pauses = []
    for _ in range(7):
        pauses.append(round(wait_s(storage)))
        passes(storage)
        throttled(storage, storage.next_send())

    assert pauses == [1, 2, 4, 8, 16, 30, 30]


def test_those_on_their_way_when_it_closed_do_not_lengthen_it(storage: StorageFixture) -> None:
    sendings = [says(storage, n) for n in range(8)]
    for sending in sendings[:6]:
        throttled(storage, sending)
    # Accepted, but it left before the limit was seen: that proves nothing.
    accepted = sendings[6]
    assert accepted is not None
    storage.end(accepted)

    assert (storage.value("select level from send_limits"), state(storage)) == (0, "throttled")

    throttled(storage, sendings[7], retry_after_s=60)
    assert wait_s(storage) > 58


def test_a_refused_probe_of_one_message_does_not_hold_the_others(storage: StorageFixture) -> None:
    throttled(storage, says(storage, 0))
    says(storage, 1)
    passes(storage)
    probe = storage.next_send()
    assert probe is not None
    storage.end(probe, Outcome.REJECTED, retry=Retry.NEVER, error_code=131026, scope=Scope.MESSAGE)

    following = storage.next_send()
    assert following is not None
    assert (following.text, state(storage)) == ("answer 1", "throttled")


def test_a_throttled_person_waits_in_all_their_conversations_and_others_go_on(storage: StorageFixture) -> None:
    throttled(storage, says(storage, 0), Scope.PERSON)
    # A closed conversation is not the end of the limit.
    storage.do("update conversations set closed_at = now()")
    assert says(storage, 0) is None
    assert storage.next_try() is None

    assert says(storage, 1) is not None


def test_a_person_is_tried_again_by_the_platforms_advice(storage: StorageFixture) -> None:
    throttled(storage, says(storage, 0), Scope.PERSON)
    pauses = []
    for _ in range(4):
        pauses.append(round(wait_s(storage)))
        passes(storage)
        storage.do("update outbox set not_before = now()")
        throttled(storage, storage.next_send(), Scope.PERSON)

    assert pauses == [1, 4, 16, 64]


def test_a_throttled_app_holds_all_its_accounts_and_no_other(storage: StorageFixture) -> None:
    second, foreign = storage.another_account("second"), storage.another_account("foreign")
    with storage.web.connect() as connection:
        connection.exec_driver_sql("update accounts set app_id = 'app-1' where id in (%s, %s)", (storage.account.id, second))
        connection.exec_driver_sql("update accounts set app_id = 'app-2' where id = %s", (foreign,))
    throttled(storage, says(storage, 0), Scope.APP)
    for n in (1, 2):
        assert says(storage, n) is None
    moved_to(storage, second, "answer 1")
    moved_to(storage, foreign, "answer 2")

    found = storage.next_send()
    assert found is not None
    assert (found.account, storage.next_try()) == (foreign, None)

    passes(storage)
    assert storage.next_send() is not None
    assert storage.next_try() is None


def test_without_an_app_id_the_apps_limit_is_the_accounts(storage: StorageFixture) -> None:
    throttled(storage, says(storage, 0), Scope.APP)

    assert storage.value("select scope from send_limits") == "account"


def test_an_answerless_probe_of_a_throttled_account_makes_it_an_outage(storage: StorageFixture) -> None:
    throttled(storage, says(storage, 0))
    says(storage, 1)
    passes(storage)
    probe = storage.next_send()
    assert probe is not None
    storage.end(probe, Outcome.UNKNOWN, retry=Retry.LATER, scope=Scope.MESSAGE)

    assert state(storage) == "outage"


def test_a_probe_whose_worker_died_is_replaced(storage: StorageFixture) -> None:
    throttled(storage, says(storage, 0))
    says(storage, 1)
    passes(storage)
    assert storage.next_try(stale_s=0) is not None
    passes(storage)

    found = storage.next_send()
    assert found is not None
    assert found.text == "answer 1"


@pytest.mark.parametrize("asked", [float("nan"), float("inf"), float("-inf"), -5.0])
def test_a_pause_that_is_none_is_not_kept(storage: StorageFixture, asked: float) -> None:
    throttled(storage, says(storage, 0), retry_after_s=asked)

    assert state(storage) == "throttled"
    assert wait_s(storage) <= 1


def test_a_pause_of_years_is_three_days(storage: StorageFixture) -> None:
    throttled(storage, says(storage, 0), retry_after_s=1e300)

    assert 71 * 3600 < wait_s(storage) <= 72 * 3600


def test_a_backlog_of_a_throttled_account_costs_the_others_nothing(storage: StorageFixture) -> None:
    other = storage.another_account("other")
    tried = tries(storage, 0)
    for _ in range(10):
        fill(storage, 500)
    throttled(storage, tried, retry_after_s=60)
    storage.let_in(a_message(by=(a_phone("34600999999"),)))
    storage.finish(storage.claimed(), parts=["other's"])
    moved_to(storage, other, "other's")
    storage.do("analyze outbox")

    began = time.perf_counter()
    found = storage.next_try()
    took = time.perf_counter() - began
    assert isinstance(found, Sending)
    assert found.account == other
    idle = []
    for _ in range(20):
        began = time.perf_counter()
        assert (storage.next_try(), due(storage)) == (None, 0)
        idle.append(time.perf_counter() - began)
    # Reading 5,000 rows one by one takes longer.
    assert sorted(idle)[10] < 0.02
    assert took < 0.2


def test_a_limit_on_a_person_is_seen_within_that_contact_alone(storage: StorageFixture) -> None:
    throttled(storage, says(storage, 0), Scope.PERSON)
    sending = says(storage, 1)
    assert sending is not None
    theirs = storage.value("select contact_id from send_limits")

    for contact, seen in ((theirs, 1), (sending.contact, 0), (None, 0)):
        with unit(storage.worker, contact=contact) as connection:
            assert connection.exec_driver_sql("select count(*) from send_limits").scalar() == seen


def test_with_its_account_a_limit_is_removed_and_with_its_contact_too(storage: StorageFixture) -> None:
    throttled(storage, says(storage, 0), Scope.PERSON)
    throttled(storage, says(storage, 1))
    storage.do("select remove_account(tenant_id, id) from accounts")

    assert storage.rows("select 1 from send_limits") == []


def test_a_limit_that_nobody_met_for_an_hour_is_forgotten(storage: StorageFixture) -> None:
    throttled(storage, says(storage, 0))
    storage.do("update send_limits set until = now() - interval '61 minutes'")
    storage.do("select keep_house(30)")

    assert storage.rows("select 1 from send_limits") == []
