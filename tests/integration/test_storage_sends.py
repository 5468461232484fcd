"""Sends: journaled before the first byte, in order, on a ladder that is only climbed, resent at most once."""

from __future__ import annotations

import pytest

from bots.domain import DeliveryStatus, Outcome, Retry
from bots.storage.database import unit
from tests.support.storage_fixture import StorageFixture, a_message, a_status


def status(storage: StorageFixture) -> str:
    return storage.value("select status from outbox order by seq limit 1")


def test_the_attempt_is_journaled_with_the_answer(storage: StorageFixture) -> None:
    storage.let_in(a_message())
    storage.answered()

    assert (status(storage), storage.value("select finished_at from send_attempts")) == ("sending", None)


def test_an_accepted_message_climbs_with_its_statuses_and_never_descends(storage: StorageFixture) -> None:
    storage.let_in(a_message())
    sending = storage.answered()
    storage.end(sending, external_id="wamid.O")

    storage.let_in(a_status("wamid.O", DeliveryStatus.READ))
    storage.let_in(a_status("wamid.O", DeliveryStatus.DELIVERED), a_status("wamid.O", DeliveryStatus.SENT))

    assert status(storage) == "read"


def test_a_status_that_overtakes_our_own_200_is_applied_when_the_id_is_learned(storage: StorageFixture) -> None:
    storage.let_in(a_message())
    sending = storage.answered()
    storage.let_in(a_status("wamid.O", DeliveryStatus.DELIVERED))

    assert storage.end(sending, external_id="wamid.O") == "accepted"
    assert status(storage) == "delivered"


def test_a_status_with_our_correlation_settles_an_unknown_send(storage: StorageFixture) -> None:
    storage.let_in(a_message())
    sending = storage.answered()
    storage.end(sending, Outcome.UNKNOWN, retry=Retry.LATER)
    storage.let_in(a_status("wamid.O", DeliveryStatus.SENT, correlation=sending.message))

    assert (status(storage), storage.value("select external_id from outbox"), storage.next_send()) == ("sent", "wamid.O", None)


def test_an_unknown_send_is_resent_once_after_its_window_and_then_left(storage: StorageFixture) -> None:
    storage.let_in(a_message())
    storage.end(storage.answered(), Outcome.UNKNOWN, reconcile_s=0)

    resend = storage.next_send()
    assert resend is not None
    assert resend.resent
    storage.end(resend, Outcome.UNKNOWN, reconcile_s=0)

    assert (storage.next_send(), status(storage)) == (None, "unknown")


def test_an_unknown_send_waits_for_its_window(storage: StorageFixture) -> None:
    storage.let_in(a_message())
    storage.end(storage.answered(), Outcome.UNKNOWN, reconcile_s=90)

    assert storage.next_send() is None


def test_an_attempt_that_nobody_finished_counts_as_unknown(storage: StorageFixture) -> None:
    storage.let_in(a_message())
    storage.answered()
    storage.do("update outbox set not_before = now()")

    assert (storage.next_send(reconcile_s=90), status(storage)) == (None, "unknown")


def test_an_acceptance_that_comes_after_the_judgement_still_counts(storage: StorageFixture) -> None:
    storage.let_in(a_message())
    sending = storage.answered()
    storage.do("update outbox set not_before = now()")
    storage.next_send()

    storage.end(sending, external_id="wamid.O")

    assert (status(storage), storage.next_send()) == ("accepted", None)


@pytest.mark.parametrize(("outcome", "retry"), [(Outcome.NOT_SENT, Retry.LATER), (Outcome.REJECTED, Retry.LATER)])
def test_what_was_surely_not_taken_is_sent_again_later(storage: StorageFixture, outcome, retry) -> None:
    storage.let_in(a_message())
    storage.end(storage.answered(), outcome, retry=retry, retry_after_s=0)

    assert storage.next_send() is not None


def test_a_permanent_rejection_ends_the_message(storage: StorageFixture) -> None:
    storage.let_in(a_message())
    storage.end(storage.answered(), Outcome.REJECTED, retry=Retry.NEVER, error_code=131047)

    assert (status(storage), storage.value("select reason from outbox"), storage.next_send()) == ("failed", "code:131047", None)


def test_a_lost_token_parks_the_account_and_keeps_the_message(storage: StorageFixture) -> None:
    storage.let_in(a_message())
    storage.end(storage.answered(), Outcome.REJECTED, retry=Retry.ASK_OPERATOR, error_code=190, retry_after_s=0)

    assert (status(storage), storage.value("select state from accounts"), storage.next_send()) == ("queued", "needs_attention", None)


def test_the_next_part_waits_for_the_head(storage: StorageFixture) -> None:
    storage.let_in(a_message())
    head = storage.answered(parts=["one", "two"])
    assert storage.next_send() is None

    storage.end(head, external_id="wamid.1", next_part_s=30)
    assert storage.next_send() is None
    storage.let_in(a_status("wamid.1", DeliveryStatus.SENT))

    second = storage.next_send()
    assert second is not None
    assert second.text == "two"


def test_a_later_answer_does_not_overtake_an_unsent_one(storage: StorageFixture) -> None:
    storage.let_in(a_message("one"))
    storage.end(storage.answered(parts=["first"]), Outcome.NOT_SENT, retry=Retry.LATER, retry_after_s=0)
    storage.let_in(a_message("two"))

    assert storage.finish(storage.claimed(), parts=["second"]) is None
    first = storage.next_send()
    assert first is not None
    assert first.text == "first"
    storage.end(first)
    second = storage.next_send()
    assert second is not None
    assert second.text == "second"


def test_an_unknown_send_blocks_what_follows_until_its_window_ends(storage: StorageFixture) -> None:
    storage.let_in(a_message("one"))
    storage.end(storage.answered(parts=["first"]), Outcome.UNKNOWN, reconcile_s=90)
    storage.let_in(a_message("two"))

    assert storage.finish(storage.claimed(), parts=["second"]) is None
    assert storage.next_send() is None


def test_a_status_for_an_unknown_id_is_kept_and_harms_nothing(storage: StorageFixture) -> None:
    storage.let_in(a_status("wamid.nobody", DeliveryStatus.READ))

    assert storage.value("select count(*) from statuses") == 1


def test_a_worker_of_the_version_before_can_end_its_attempt_during_an_upgrade(storage: StorageFixture) -> None:
    storage.let_in(a_message())
    sending = storage.answered()

    with unit(storage.worker) as connection:
        status = connection.exec_driver_sql(
            "select end_attempt(%s, %s, 'accepted', 'wamid.1', 200, null, null, null, null, 90.0, 5.0)", (sending.contact, sending.attempt)
        ).scalar_one()

    assert status == "accepted"
    assert storage.value("select status from outbox") == "accepted"
