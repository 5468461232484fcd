"""Sends: journaled before the first byte, in order, on a ladder that is only climbed, resent at most once."""

from __future__ import annotations

import pytest

from bots.domain import DeliveryStatus, Outcome, Retry
from tests.support.desk import Desk, a_message, a_status


def status(desk: Desk) -> str:
    return desk.value("select status from outbox order by seq limit 1")


def test_the_attempt_is_journaled_with_the_answer(desk: Desk) -> None:
    desk.let_in(a_message())
    desk.answered()

    assert (status(desk), desk.value("select finished_at from send_attempts")) == ("sending", None)


def test_an_accepted_message_climbs_with_its_statuses_and_never_descends(desk: Desk) -> None:
    desk.let_in(a_message())
    sending = desk.answered()
    desk.end(sending, external_id="wamid.O")

    desk.let_in(a_status("wamid.O", DeliveryStatus.READ))
    desk.let_in(a_status("wamid.O", DeliveryStatus.DELIVERED), a_status("wamid.O", DeliveryStatus.SENT))

    assert status(desk) == "read"


def test_a_status_that_overtakes_our_own_200_is_applied_when_the_id_is_learned(desk: Desk) -> None:
    desk.let_in(a_message())
    sending = desk.answered()
    desk.let_in(a_status("wamid.O", DeliveryStatus.DELIVERED))

    assert desk.end(sending, external_id="wamid.O") == "accepted"
    assert status(desk) == "delivered"


def test_a_status_with_our_correlation_settles_an_unknown_send(desk: Desk) -> None:
    desk.let_in(a_message())
    sending = desk.answered()
    desk.end(sending, Outcome.UNKNOWN, retry=Retry.LATER)
    desk.let_in(a_status("wamid.O", DeliveryStatus.SENT, correlation=sending.message))

    assert (status(desk), desk.value("select external_id from outbox"), desk.next_send()) == ("sent", "wamid.O", None)


def test_an_unknown_send_is_resent_once_after_its_window_and_then_left(desk: Desk) -> None:
    desk.let_in(a_message())
    desk.end(desk.answered(), Outcome.UNKNOWN, reconcile_s=0)

    resend = desk.next_send()
    assert resend is not None
    assert resend.resent
    desk.end(resend, Outcome.UNKNOWN, reconcile_s=0)

    assert (desk.next_send(), status(desk)) == (None, "unknown")


def test_an_unknown_send_waits_for_its_window(desk: Desk) -> None:
    desk.let_in(a_message())
    desk.end(desk.answered(), Outcome.UNKNOWN, reconcile_s=90)

    assert desk.next_send() is None


def test_an_attempt_that_nobody_finished_counts_as_unknown(desk: Desk) -> None:
    desk.let_in(a_message())
    desk.answered()
    desk.do("update outbox set not_before = now()")

    assert (desk.next_send(reconcile_s=90), status(desk)) == (None, "unknown")


def test_an_acceptance_that_comes_after_the_judgement_still_counts(desk: Desk) -> None:
    desk.let_in(a_message())
    sending = desk.answered()
    desk.do("update outbox set not_before = now()")
    desk.next_send()

    desk.end(sending, external_id="wamid.O")

    assert (status(desk), desk.next_send()) == ("accepted", None)


@pytest.mark.parametrize(("outcome", "retry"), [(Outcome.NOT_SENT, Retry.LATER), (Outcome.REJECTED, Retry.LATER)])
def test_what_was_surely_not_taken_is_sent_again_later(desk: Desk, outcome, retry) -> None:
    desk.let_in(a_message())
    desk.end(desk.answered(), outcome, retry=retry, retry_after_s=0)

    assert desk.next_send() is not None


def test_a_permanent_rejection_ends_the_message(desk: Desk) -> None:
    desk.let_in(a_message())
    desk.end(desk.answered(), Outcome.REJECTED, retry=Retry.NEVER, error_code=131047)

    assert (status(desk), desk.value("select reason from outbox"), desk.next_send()) == ("failed", "code:131047", None)


def test_a_lost_token_parks_the_account_and_keeps_the_message(desk: Desk) -> None:
    desk.let_in(a_message())
    desk.end(desk.answered(), Outcome.REJECTED, retry=Retry.ASK_OPERATOR, error_code=190, retry_after_s=0)

    assert (status(desk), desk.value("select state from accounts"), desk.next_send()) == ("queued", "needs_attention", None)


def test_the_next_part_waits_for_the_head(desk: Desk) -> None:
    desk.let_in(a_message())
    head = desk.answered(parts=["one", "two"])
    assert desk.next_send() is None

    desk.end(head, external_id="wamid.1", next_part_s=30)
    assert desk.next_send() is None
    desk.let_in(a_status("wamid.1", DeliveryStatus.SENT))

    second = desk.next_send()
    assert second is not None
    assert second.text == "two"


def test_a_later_answer_does_not_overtake_an_unsent_one(desk: Desk) -> None:
    desk.let_in(a_message("one"))
    desk.end(desk.answered(parts=["first"]), Outcome.NOT_SENT, retry=Retry.LATER, retry_after_s=0)
    desk.let_in(a_message("two"))

    assert desk.finish(desk.claimed(), parts=["second"]) is None
    first = desk.next_send()
    assert first is not None
    assert first.text == "first"
    desk.end(first)
    second = desk.next_send()
    assert second is not None
    assert second.text == "second"


def test_an_unknown_send_blocks_what_follows_until_its_window_ends(desk: Desk) -> None:
    desk.let_in(a_message("one"))
    desk.end(desk.answered(parts=["first"]), Outcome.UNKNOWN, reconcile_s=90)
    desk.let_in(a_message("two"))

    assert desk.finish(desk.claimed(), parts=["second"]) is None
    assert desk.next_send() is None


def test_a_status_for_an_unknown_id_is_kept_and_harms_nothing(desk: Desk) -> None:
    desk.let_in(a_status("wamid.nobody", DeliveryStatus.READ))

    assert desk.value("select count(*) from statuses") == 1
