"""What is stored at one moment takes its locks in one order: outcomes of sends, an operator beside them, and webhooks."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from bots.domain import Outcome, Retry, Scope
from bots.storage import attention
from bots.storage.database import unit
from tests.integration.test_storage_outage import says
from tests.support.changes import ADA, BOB, an_unsend
from tests.support.changes import says as a_text
from tests.support.processes import until
from tests.support.storage_fixture import StorageFixture

_LIMIT = """
    insert into send_limits (tenant_id, scope, account_id, state, per_s, risen_at, until) values (%s, 'account', %s, %s, 1, now(), now())"""


def _together(storage: StorageFixture, row: str, *steps: Callable[[], object]) -> None:
    """Take these steps at one moment: each begins when the one before waits for the row."""
    with ThreadPoolExecutor() as pool:
        with unit(storage.crossing) as holder:
            holder.exec_driver_sql(f"select from {row} for update")
            running = [pool.submit(steps[0])]
            until(lambda: storage.value("select count(*) from pg_locks where not granted") == 1, what="the first step waits")
            running += [pool.submit(step) for step in steps[1:]]
            until(lambda: storage.value("select count(*) from pg_locks where not granted") >= 2, what="the second step waits")
        for step in running:
            step.result()


def _deadlocks(storage: StorageFixture) -> int:
    return storage.value("select deadlocks from pg_stat_database where datname = current_database()")


@pytest.mark.parametrize("later", [False, True])
def test_an_acceptance_and_a_refusal_that_may_be_the_accounts_fault(storage: StorageFixture, *, later: bool) -> None:
    first, second, third = (says(storage, n) for n in range(3))
    assert first is not None
    assert second is not None
    assert third is not None
    storage.end(first, Outcome.REJECTED, retry=Retry.NEVER, scope=Scope.PERSON, error_code=10, is_in_doubt=True)
    storage.do(_LIMIT, storage.account.tenant_id, storage.account.id, "rising")
    retry, scope = (Retry.LATER, Scope.ACCOUNT) if later else (Retry.NEVER, Scope.PERSON)

    _together(
        storage,
        "send_limits",
        lambda: storage.end(second, Outcome.REJECTED, retry=retry, scope=scope, error_code=None if later else 10, is_in_doubt=True),
        lambda: storage.end(third),
    )

    assert _deadlocks(storage) == 0


@pytest.mark.parametrize("more", [{"error_code": 131048, "retry_after_s": 900.0}, {"error_code": 10, "is_in_doubt": True}])
def test_an_operator_who_resumes_an_account_and_a_throttle_of_it(storage: StorageFixture, more: dict[str, Any]) -> None:
    sendings = [says(storage, n) for n in range(3)]
    storage.do(_LIMIT, storage.account.tenant_id, storage.account.id, "throttled")
    storage.do("update accounts set slow_until = now() + interval '1 hour'")
    storage.do("update send_limits set closed_at = now()")

    def resume() -> None:
        with unit(storage.crossing) as connection:
            attention.resume(connection, tenant=storage.account.tenant_id, account=storage.account.id)

    def throttled() -> None:
        for sending in sendings:
            assert sending is not None
            storage.end(sending, Outcome.REJECTED, retry=Retry.LATER, scope=Scope.ACCOUNT, **more)

    _together(storage, "accounts", resume, throttled)

    assert _deadlocks(storage) == 0


def test_two_people_take_back_what_came_in_one_webhook(storage: StorageFixture) -> None:
    storage.let_in(a_text("my code is 7714", "w1", by=ADA), a_text("my code is 7715", "w2", by=BOB))

    _together(
        storage,
        "inbox where event_key = 'w2'",
        lambda: storage.let_in(an_unsend("w2", by=BOB)),
        lambda: storage.let_in(an_unsend("w1", by=ADA), a_text("hello", "w3", by=BOB)),
    )

    assert _deadlocks(storage) == 0
    assert storage.value("select count(*) from inbox where text like '%%code%%'") == 0
