"""The parts of one answer: what follows a part that was not sent is not sent alone, and comes with it when it is sent after all."""

from __future__ import annotations

from typing import Any

import pytest

from bots.domain import DeliveryStatus, Outcome, Retry, Scope, StatusUpdate
from bots.storage import attention
from bots.storage.database import unit
from bots.storage.outbox import Sending
from tests.support.storage_fixture import StorageFixture, a_message, a_status


def answered(storage: StorageFixture) -> Sending:
    storage.let_in(a_message())
    return storage.answered(parts=["one", "two", "three"])


def refused(storage: StorageFixture, sending: Sending, code: int = 131026) -> None:
    storage.end(sending, Outcome.REJECTED, retry=Retry.NEVER, error_code=code, scope=Scope.MESSAGE)


def given_up(storage: StorageFixture) -> Sending:
    """The first part was sent twice, and nobody knows what came of it."""
    first = answered(storage)
    storage.end(first, Outcome.UNKNOWN, reconcile_s=0)
    again = storage.next_send()
    assert again is not None
    storage.end(again, Outcome.UNKNOWN, reconcile_s=0)
    assert storage.next_send() is None
    return first


def failed_status(storage: StorageFixture, external_id: str, code: int = 131026) -> None:
    event = a_status(external_id, DeliveryStatus.FAILED)
    assert event.status is not None
    update = StatusUpdate(external_id=external_id, status=DeliveryStatus.FAILED, error_code=code)
    storage.let_in(type(event)(kind=event.kind, event_key=event.event_key, status=update))


def parts(storage: StorageFixture) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in storage.rows("select status, reason from outbox order by seq")]


def operator_does(storage: StorageFixture, what: Any, body: str = "one") -> None:
    message = storage.value("select id from outbox where body = %s", body)
    with unit(storage.crossing) as connection:
        what(connection, tenant=storage.account.tenant_id, message=message)


def all_sent(storage: StorageFixture) -> list[str]:
    found: list[str] = []
    while (sending := storage.next_send()) is not None:
        found.append(sending.text)
        storage.end(sending, next_part_s=0)
    return found


def test_a_refused_part_ends_the_answer(storage: StorageFixture) -> None:
    refused(storage, answered(storage))

    assert parts(storage) == [("failed", "code:131026"), ("failed", "part_refused"), ("failed", "part_refused")]
    assert storage.next_send() is None


def test_the_answer_stands_on_the_attention_page_once(storage: StorageFixture) -> None:
    refused(storage, answered(storage))

    with unit(storage.crossing) as connection:
        found = attention.troubles(connection, tenant=storage.account.tenant_id, kind=attention.TroubleKind.SEND)
    assert [one.reason for one in found] == ["code:131026"]


def test_a_refused_second_part_ends_the_third_and_leaves_the_first(storage: StorageFixture) -> None:
    storage.end(answered(storage), next_part_s=0)
    second = storage.next_send()
    assert second is not None
    refused(storage, second)

    assert parts(storage) == [("accepted", None), ("failed", "code:131026"), ("failed", "part_refused")]


def test_the_next_answer_goes_out_all_the_same(storage: StorageFixture) -> None:
    refused(storage, answered(storage))
    storage.let_in(a_message("more"))

    assert storage.finish(storage.claimed(), parts=["next"]) is not None


def test_a_refused_apology_does_not_end_the_answer_that_follows(storage: StorageFixture) -> None:
    storage.let_in(a_message())
    apology = storage.finish(storage.claimed(), state="wait", answer=None, parts=["sorry"], retry_s=0.0)
    assert apology is not None
    refused(storage, apology)
    storage.finish(storage.claimed(), parts=["one", "two"])

    assert [row[0] for row in storage.rows("select status from outbox where part > 0 order by part")] == ["sending", "queued"]


def test_a_refused_apology_leaves_an_answer_that_waits_behind_it(storage: StorageFixture) -> None:
    storage.let_in(a_message())
    apology = storage.finish(storage.claimed(), state="wait", answer=None, parts=["sorry"], retry_s=0.0)
    assert apology is not None
    storage.finish(storage.claimed(), parts=["one", "two"])
    refused(storage, apology)

    assert all_sent(storage) == ["one", "two"]


@pytest.mark.parametrize("policy", ["never", "resend_once"])
def test_a_part_whose_sending_stays_unknown_ends_the_answer(storage: StorageFixture, policy: str) -> None:
    with storage.web.connect() as connection:
        connection.exec_driver_sql("update accounts set unknown_send = %s", (policy,))
    if policy == "never":
        storage.end(answered(storage), Outcome.UNKNOWN, reconcile_s=0)
        assert storage.next_send() is None
    else:
        given_up(storage)

    assert parts(storage) == [("unknown", "unknown"), ("failed", "part_unknown"), ("failed", "part_unknown")]


def test_a_failed_status_stops_what_is_still_waiting(storage: StorageFixture) -> None:
    storage.end(answered(storage), external_id="wamid.1", next_part_s=60)
    failed_status(storage, "wamid.1")

    assert parts(storage) == [("failed", "platform:131026"), ("failed", "part_refused"), ("failed", "part_refused")]


def test_a_failed_status_before_the_answer_to_our_request_stops_it_too(storage: StorageFixture) -> None:
    first = answered(storage)
    failed_status(storage, "wamid.1")
    storage.end(first, external_id="wamid.1")

    assert parts(storage)[1:] == [("failed", "part_refused"), ("failed", "part_refused")]


def test_a_failed_status_leaves_what_has_left(storage: StorageFixture) -> None:
    storage.end(answered(storage), external_id="wamid.1", next_part_s=0)
    second = storage.next_send()
    assert second is not None
    failed_status(storage, "wamid.1")
    storage.end(second)

    assert [row[0] for row in parts(storage)] == ["failed", "accepted", "failed"]


def test_a_report_that_the_part_arrived_lets_the_rest_go(storage: StorageFixture) -> None:
    first = given_up(storage)
    storage.let_in(a_status("wamid.late", DeliveryStatus.DELIVERED, correlation=first.message))

    assert all_sent(storage) == ["two", "three"]


def test_but_not_where_a_person_has_taken_over(storage: StorageFixture) -> None:
    first = given_up(storage)
    storage.do("select take_over(id, 'ana', null) from conversations")
    storage.let_in(a_status("wamid.late", DeliveryStatus.DELIVERED, correlation=first.message))

    assert all_sent(storage) == []


def test_nor_where_a_person_has_answered_since(storage: StorageFixture) -> None:
    first = given_up(storage)
    storage.do("select take_over(id, 'ana', null) from conversations")
    storage.do("select answer_by_hand(id, 'ana', 'mine', array['mine'], gen_random_uuid()) from conversations")
    storage.do("select give_back(id) from conversations")
    storage.let_in(a_status("wamid.late", DeliveryStatus.DELIVERED, correlation=first.message))

    assert all_sent(storage) == ["mine"]


def test_delivered_after_failed_lets_the_rest_go(storage: StorageFixture) -> None:
    storage.end(answered(storage), external_id="wamid.1", next_part_s=60)
    failed_status(storage, "wamid.1")
    storage.let_in(a_status("wamid.1", DeliveryStatus.DELIVERED))

    assert all_sent(storage) == ["two", "three"]


def test_sending_it_again_sends_the_rest_too(storage: StorageFixture) -> None:
    refused(storage, answered(storage))
    storage.do("update outbox set waits_since = now() - interval '2 days'")
    operator_does(storage, attention.resend)

    assert all_sent(storage) == ["one", "two", "three"]


def test_leaving_it_as_sent_sends_the_rest(storage: StorageFixture) -> None:
    given_up(storage)
    operator_does(storage, attention.settle)

    assert all_sent(storage) == ["two", "three"]


def test_what_was_withdrawn_for_a_person_stays_withdrawn(storage: StorageFixture) -> None:
    storage.end(answered(storage), external_id="wamid.1", next_part_s=60)
    storage.do("select take_over(id, 'ana', null) from conversations")
    failed_status(storage, "wamid.1")
    operator_does(storage, attention.resend)

    assert all_sent(storage) == ["one"]
