"""An outcome that cannot be stored: the attempt counts as unknown once, an operator sees it, and the message is never sent again by itself."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import create_engine

from bots.domain import DeliveryStatus, Outcome, Retry, Scope
from bots.errors import NotStorable, StorageUnavailable
from bots.storage import attention, outbox
from bots.storage.database import unit
from tests.support.storage_fixture import StorageFixture, a_message, a_phone, a_status

_IDS = {
    "empty": "",
    "ten thousand characters": "x" * 10_000,
    "just too long for an index": "\N{GRINNING FACE}" * 700,
    "a NUL": "wamid.\x00",
    "half a surrogate pair": "wamid.\ud800",
    "a number": 12345,
    "none": None,
    "a list": ["wamid.1"],
}


def lost(storage: StorageFixture) -> tuple[Any, ...]:
    return tuple(storage.rows("select status, reason, attention_at is not null, not_before from outbox order by seq desc limit 1")[0])


def test_the_id_of_another_message_ends_as_unknown_and_is_not_sent_again(storage: StorageFixture) -> None:
    storage.let_in(a_message(by=(a_phone("34600000001"),)))
    storage.end(storage.answered(), external_id="wamid.same")
    storage.let_in(a_message(by=(a_phone("34600000002"),)))
    sending = storage.answered()

    with pytest.raises(NotStorable):
        storage.end(sending, external_id="wamid.same")

    assert lost(storage) == ("unknown", "not_stored", True, None)
    assert storage.value("select outcome from send_attempts where id = %s", sending.attempt) == "unknown"
    assert storage.next_send() is None
    # Neither is the first one touched.
    assert storage.value("select status from outbox order by seq limit 1") == "accepted"


@pytest.mark.parametrize("name", _IDS)
def test_an_id_that_is_none_ends_as_unknown(storage: StorageFixture, name: str) -> None:
    storage.let_in(a_message())
    sending = storage.answered()
    found: Any = _IDS[name]

    with pytest.raises(NotStorable):
        storage.end_with(sending, external_id=found)

    assert (lost(storage), storage.next_send()) == (("unknown", "not_stored", True, None), None)


def test_one_that_was_sent_under_no_id_is_not_sent_again_and_is_no_outage(storage: StorageFixture) -> None:
    for n in range(4):
        storage.let_in(a_message(by=(a_phone(f"3460000000{n}"),)))
        storage.end(storage.answered(), Outcome.UNKNOWN, retry=Retry.NEVER, scope=Scope.MESSAGE, reconcile_s=0)

    assert (lost(storage), storage.next_send()) == (("unknown", "not_stored", True, None), None)
    assert storage.rows("select state from send_limits") == []


@pytest.mark.parametrize(
    "more",
    [
        {"http_status": 10**12},
        {"http_status": -(10**12)},
        {"error_code": 2**31},
        {"error_code": 10**30},
        {"trace_id": "A\x00B"},
        {"trace_id": "A\ud800B"},
        {"trace_id": "x" * 100_000},
        {"retry_after_s": float("nan")},
        {"retry_after_s": 1e308},
        {"retry_after_s": -1.0},
    ],
    ids=repr,
)
@pytest.mark.parametrize("outcome", [Outcome.ACCEPTED, Outcome.UNKNOWN, Outcome.REJECTED, Outcome.NOT_SENT])
def test_what_a_platform_says_beside_the_outcome_cannot_lose_it(storage: StorageFixture, outcome: Outcome, more: dict[str, Any]) -> None:
    storage.let_in(a_message())
    storage.end(storage.answered(), outcome, retry=Retry.LATER, scope=Scope.MESSAGE, **more)

    wanted = {Outcome.ACCEPTED: "accepted", Outcome.UNKNOWN: "unknown"}.get(outcome, "queued")
    assert (lost(storage)[0], storage.value("select outcome from send_attempts")) == (wanted, outcome.value)


def test_an_operator_sees_it_and_may_send_it_again(storage: StorageFixture) -> None:
    storage.let_in(a_message())
    with pytest.raises(NotStorable):
        storage.end_with(storage.answered(parts=["one", "two"]), external_id="")
    tenant = storage.account.tenant_id

    with unit(storage.crossing) as connection:
        found = attention.troubles(connection, tenant=tenant, kind=attention.TroubleKind.SEND)
        assert [one.reason for one in found] == ["not_stored"]
        attention.resend(connection, tenant=tenant, message=found[0].id)

    again = storage.next_send()
    assert again is not None
    assert again.text == "one"


def test_a_report_of_the_platform_still_settles_it(storage: StorageFixture) -> None:
    storage.let_in(a_message())
    sending = storage.answered()
    with pytest.raises(NotStorable):
        storage.end_with(sending, external_id="")
    storage.let_in(a_status("wamid.true", DeliveryStatus.DELIVERED, correlation=sending.message))

    assert lost(storage)[0] == "delivered"


def test_one_whose_outcome_was_told_again_stays_as_it_was(storage: StorageFixture) -> None:
    storage.let_in(a_message())
    sending = storage.answered()
    storage.end(sending, external_id="wamid.1")

    with pytest.raises(NotStorable):
        storage.end_with(sending, external_id="")

    assert lost(storage)[0] == "accepted"


def test_one_that_was_accepted_and_cannot_be_stored_in_time_is_not_left_open(storage: StorageFixture) -> None:
    storage.let_in(a_message())
    sending = storage.answered()
    impatient = create_engine(storage.worker.url, isolation_level="AUTOCOMMIT", connect_args={"options": "-c lock_timeout=20ms"})
    with unit(storage.crossing) as other:
        # Another transaction holds the lock under which an id is learned.
        other.exec_driver_sql("select pg_advisory_xact_lock(hashtext(%s))", (f"{storage.account.id}wamid.1",))
        with pytest.raises(StorageUnavailable):
            outbox.end_attempt(
                impatient,
                contact=sending.contact,
                attempt=sending.attempt,
                outcome=Outcome.ACCEPTED,
                external_id="wamid.1",
                reconcile_s=90,
                next_part_s=3,
            )
    impatient.dispose()

    assert lost(storage) == ("unknown", "not_stored", True, None)
