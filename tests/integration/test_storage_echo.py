"""What leaves an account comes back as an echo: ours is a status, a person's answer holds the bot. Watermarks climb many at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from bots.domain import DeliveryStatus, EventKind, Identity, IdentityKind, InboundEvent, Outcome, StatusUpdate
from tests.support.storage_fixture import StorageFixture, a_message, a_status

ADA = Identity(kind=IdentityKind.PSID, value="6001")
BOB = Identity(kind=IdentityKind.PSID, value="6002")


def an_echo(mid: str, text: str | None, *, to: Identity = ADA) -> InboundEvent:
    """A message that left the account, without a tag of ours."""
    status = StatusUpdate(external_id=mid, status=DeliveryStatus.SENT)
    return InboundEvent(kind=EventKind.ECHO, event_key=f"echo:{mid}", identities=(to,), text=text, supported=False, status=status)


def a_watermark(status: DeliveryStatus, *, of: Identity = ADA, until: datetime | None = None) -> InboundEvent:
    """Everything up to a time was delivered, or read."""
    moment = until or datetime.now(UTC) + timedelta(seconds=5)
    update = StatusUpdate(external_id="", status=status, watermark=moment)
    return InboundEvent(kind=EventKind.STATUS, event_key=f"{status}:{of.value}:{moment}", identities=(of,), status=update)


def says(text: str, *, by: Identity = ADA, age_s: float = 60.0, **more: Any) -> InboundEvent:
    """A message that was written some time ago: long enough for a person to read it and to answer."""
    return a_message(text, by=(by,), occurred_at=datetime.now(UTC) - timedelta(seconds=age_s), **more)


def taken_by(storage: StorageFixture, person: Identity = ADA) -> str | None:
    return storage.value(
        "select taken_by from conversations join contact_identities using (contact_id) where value = %s and closed_at is null", person.value
    )


def status_of(storage: StorageFixture, message: UUID) -> str:
    return storage.value("select status from outbox where id = %s", message)


def test_an_echo_of_a_message_of_ours_is_its_status_and_holds_nobody(storage: StorageFixture) -> None:
    storage.let_in(says("hi"))
    sending = storage.answered()
    storage.end(sending, external_id="m_9")

    storage.let_in(an_echo("m_9", "other words than ours"))

    assert status_of(storage, sending.message) == "sent"
    assert taken_by(storage) is None
    assert storage.value("select count(*) from inbox where kind = 'echo'") == 0


def test_an_echo_that_overtakes_our_own_200_is_known_by_its_words(storage: StorageFixture) -> None:
    storage.let_in(says("hi"))
    sending = storage.answered()

    storage.let_in(an_echo("m_9", "hello"))
    storage.end(sending, external_id="m_9")

    assert status_of(storage, sending.message) == "sent"
    assert taken_by(storage) is None


def test_an_echo_settles_a_send_of_unknown_outcome_so_that_it_is_not_sent_again(storage: StorageFixture) -> None:
    storage.let_in(says("hi"))
    sending = storage.answered()
    storage.end(sending, Outcome.UNKNOWN)

    storage.let_in(an_echo("m_9", "hello"))

    assert status_of(storage, sending.message) == "sent"
    assert storage.next_send(reconcile_s=0) is None


def test_a_tagged_echo_brings_the_id_to_its_message(storage: StorageFixture) -> None:
    storage.let_in(says("hi"))
    sending = storage.answered()

    storage.let_in(a_status("m_9", DeliveryStatus.SENT, correlation=sending.message))

    assert storage.rows("select status, external_id from outbox") == [("sent", "m_9")]
    assert taken_by(storage) is None


def test_a_persons_answer_in_the_inbox_holds_the_bot(storage: StorageFixture) -> None:
    storage.let_in(says("hi"))

    storage.let_in(an_echo("m_9", "I am human"), hold_s=600.0)
    storage.let_in(says("oh"))

    assert taken_by(storage) == "the platform's inbox"
    assert storage.claim() is None
    assert storage.rows("select kind, text from inbox order by arrival") == [("message", "hi"), ("echo", "I am human"), ("message", "oh")]


def test_a_persons_answer_withdraws_what_the_bot_was_about_to_say(storage: StorageFixture) -> None:
    storage.let_in(says("hi"))
    claim = storage.claimed()
    storage.finish(claim, parts=["one", "two"])

    storage.let_in(an_echo("m_9", "I am human"))

    assert storage.rows("select part, status, reason from outbox order by part")[1] == (2, "failed", "taken_over")


def test_the_bot_answers_again_when_the_hold_is_over(storage: StorageFixture) -> None:
    storage.let_in(says("hi"), an_echo("m_9", "I am human"), hold_s=600.0)
    storage.let_in(says("and now?"))

    storage.do("update conversations set taken_until = now() - interval '1 second'")
    storage.do("select keep_house(30)")

    assert taken_by(storage) is None
    assert [message.text for message in storage.claimed().messages] == ["and now?"]
    assert storage.rows("select asked, answer, answered_by from turns where number = 1") == [("hi", "I am human", "the platform's inbox")]


def test_a_second_answer_of_the_person_prolongs_the_hold(storage: StorageFixture) -> None:
    storage.let_in(an_echo("m_8", "first"), hold_s=1.0)
    before = storage.value("select taken_until from conversations")

    storage.let_in(an_echo("m_9", "second"), hold_s=600.0)

    assert storage.value("select taken_until from conversations") > before + timedelta(seconds=300)


def test_an_echo_that_comes_again_holds_nobody_anew(storage: StorageFixture) -> None:
    storage.let_in(an_echo("m_9", "I am human"))
    storage.do("select give_back(id) from conversations")

    storage.let_in(an_echo("m_9", "I am human"))

    assert taken_by(storage) is None


def test_an_echo_to_one_person_leaves_the_talk_with_another_alone(storage: StorageFixture) -> None:
    storage.let_in(says("hi"), says("ho", by=BOB))

    storage.let_in(an_echo("m_9", "I am human"))

    assert (taken_by(storage), taken_by(storage, BOB)) == ("the platform's inbox", None)
    assert [message.text for message in storage.claimed().messages] == ["ho"]


def test_standby_is_stored_and_wakes_nobody(storage: StorageFixture) -> None:
    event = InboundEvent(kind=EventKind.STANDBY, event_key="standby:m_1", identities=(ADA,), text="Hi", supported=False)

    storage.let_in(event)

    assert storage.rows("select kind, text from inbox") == [("standby", "Hi")]
    assert storage.claim() is None


def _sent(storage: StorageFixture, person: Identity, mid: str) -> UUID:
    storage.let_in(says("hi", by=person))
    sending = storage.answered()
    storage.end(sending, external_id=mid)
    return sending.message


def test_a_watermark_lifts_all_that_was_taken_before_of_this_person_alone(storage: StorageFixture) -> None:
    ada, again, bob = _sent(storage, ADA, "m_1"), _sent(storage, ADA, "m_2"), _sent(storage, BOB, "m_3")

    storage.let_in(a_watermark(DeliveryStatus.DELIVERED))
    storage.let_in(a_watermark(DeliveryStatus.READ))
    storage.let_in(a_watermark(DeliveryStatus.DELIVERED, until=datetime.now(UTC) + timedelta(seconds=9)))

    assert [status_of(storage, message) for message in (ada, again, bob)] == ["read", "read", "accepted"]


def test_a_watermark_from_before_a_message_does_not_lift_it(storage: StorageFixture) -> None:
    message = _sent(storage, ADA, "m_1")

    storage.let_in(a_watermark(DeliveryStatus.READ, until=datetime.now(UTC) - timedelta(minutes=1)))

    assert status_of(storage, message) == "accepted"


def test_a_watermark_of_a_stranger_makes_no_contact(storage: StorageFixture) -> None:
    storage.let_in(a_watermark(DeliveryStatus.READ, of=BOB))

    assert storage.value("select count(*) from contacts") == 0


def test_only_the_first_answer_of_the_bot_is_the_first(storage: StorageFixture) -> None:
    storage.let_in(says("hi"))
    first = storage.claimed()
    storage.finish(first)
    storage.let_in(says("more"))
    second = storage.claimed()
    storage.finish(second, close=True)
    storage.let_in(says("after a new beginning"))
    third = storage.claimed()

    assert [claim.first for claim in (first, second, third)] == [True, False, False]


def test_a_persons_answer_is_not_the_first_of_the_bot(storage: StorageFixture) -> None:
    storage.let_in(says("hi"))
    storage.do("select take_over(id, 'ana', null) from conversations")
    storage.do("select answer_by_hand(id, 'ana', 'I am here', array['I am here'], gen_random_uuid()) from conversations")
    storage.do("select give_back(id) from conversations")

    storage.let_in(says("more"))

    assert storage.claimed().first is True
