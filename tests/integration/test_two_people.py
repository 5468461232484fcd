"""Whose message it is: two people never become one contact, and one person stays one through changes of number and id."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from bots.domain import EventKind, Identity, IdentityKind, InboundEvent
from bots.errors import Fenced
from tests.support.storage_fixture import StorageFixture, a_bsuid, a_message, a_phone

P, Q, R = a_phone("34600111222"), a_phone("34600333444"), a_phone("34600555666")
A, B, C = a_bsuid("ES.A"), a_bsuid("ES.B"), a_bsuid("ES.C")
_START = datetime.now(UTC) - timedelta(days=6)


def a_notice(*new: Identity, before: tuple[Identity, ...], **more: Any) -> InboundEvent:
    """What the platform says of a person whose handles changed."""
    key = f"notice:{new}:{before}:{more}"
    return InboundEvent(kind=EventKind.SYSTEM, event_key=key, identities=new, previous=before, supported=False, **more)


def talk(storage: StorageFixture, text: str, *by: Identity, **more: Any) -> UUID:
    """Let somebody say something, answer it, and return whose it was."""
    (contact,) = storage.let_in(a_message(text, by=by, **more))
    claim = storage.claim()
    if claim is not None:
        sending = storage.finish(claim, asked=text, answer=f"re: {text}", parts=[f"re: {text}"])
        if sending is not None:
            storage.end(sending)
    return contact


def cases(storage: StorageFixture) -> list[Any]:
    """Former and holder of each open case."""
    return storage.rows("select former_id, holder_id from identity_cases where state = 'open' order by opened_at")


def handles(storage: StorageFixture, contact: UUID) -> set[str]:
    """The handles at which a contact can be reached."""
    return {r[0] for r in storage.rows("select value from contact_identities where contact_id = %s and retired_at is null", contact)}


# One message, without a notice


def test_a_message_with_the_number_of_one_and_the_id_of_another_is_of_the_one_with_the_id(storage: StorageFixture) -> None:
    ann = talk(storage, "I am Ann", P, A)
    cy = talk(storage, "I am Cy", B)

    both = talk(storage, "and this?", P, B)

    assert (both, cases(storage)) == (cy, [(ann, cy)])
    assert (handles(storage, ann), handles(storage, cy)) == ({A.value}, {B.value, P.value})
    assert talk(storage, "by phone alone", P) == cy
    assert talk(storage, "by id alone", A) == ann
    told = {r[0] for r in storage.rows("select text from inbox where contact_id = %s", cy)}
    assert told == {"I am Cy", "and this?", "by phone alone"}


@pytest.mark.parametrize("order", [(P, B), (B, P)])
def test_two_people_of_whom_one_is_known_by_number_only_are_not_joined(storage: StorageFixture, order: tuple[Identity, ...]) -> None:
    ann, cy = talk(storage, "I am Ann", P), talk(storage, "I am Cy", B)

    assert talk(storage, "both", *order) == cy
    assert (cases(storage), handles(storage, ann)) == ([(ann, cy)], set())


@pytest.mark.parametrize("known", ["number", "id"])
def test_where_one_of_the_two_has_said_nothing_they_are_one_person(storage: StorageFixture, known: str) -> None:
    # A reaction and an empty notice are no history.
    quiet = InboundEvent(kind=EventKind.REACTION, event_key="reaction", identities=(A if known == "number" else P,), text="👍")
    spoke = talk(storage, "hello", P if known == "number" else A)
    storage.let_in(quiet)

    assert talk(storage, "both", P, A) == spoke
    assert (storage.value("select count(*) from contacts"), cases(storage)) == (1, [])
    assert talk(storage, "by id", A) == talk(storage, "by number", P) == spoke


def test_a_known_number_that_gets_its_first_id_stays_the_same_person(storage: StorageFixture) -> None:
    ann = talk(storage, "hello", P)

    assert [talk(storage, "now with id", P, A), talk(storage, "id", A), talk(storage, "number", P)] == [ann] * 3


def test_a_known_number_with_an_unknown_id_beside_a_known_one_is_a_new_person(storage: StorageFixture) -> None:
    ann = talk(storage, "hello", P, A)

    new = talk(storage, "hi", P, B)

    assert new != ann
    assert (cases(storage), handles(storage, ann)) == ([(ann, new)], {A.value})
    assert (talk(storage, "number", P), talk(storage, "old id", A)) == (new, ann)


def test_a_number_goes_on_to_a_third_person_and_each_move_is_a_case_of_its_own(storage: StorageFixture) -> None:
    ann, cy, dan = talk(storage, "Ann", P, A), talk(storage, "Cy", B), talk(storage, "Dan", C)

    assert (talk(storage, "1", P, B), talk(storage, "2", P, C), talk(storage, "3", P)) == (cy, dan, dan)
    assert cases(storage) == [(ann, cy), (cy, dan)]
    # And back: the same two are one case, the other way round.
    assert talk(storage, "4", P, B) == cy
    assert cases(storage) == [(ann, cy), (dan, cy)]


def test_an_id_with_a_new_number_is_no_longer_at_its_old_one(storage: StorageFixture) -> None:
    ann = talk(storage, "hello", P, A)

    assert talk(storage, "my new number", Q, A) == ann
    assert handles(storage, ann) == {Q.value, A.value}
    # Whoever has the old number now is somebody else.
    assert talk(storage, "who is this?", P) != ann


def test_three_handles_speak_for_the_first_id_and_the_first_number(storage: StorageFixture) -> None:
    ann, bob = talk(storage, "Ann", P, A), talk(storage, "Bob", Q, B)

    assert talk(storage, "odd", A, P, Q, B) == ann
    assert (talk(storage, "Bob?", Q), handles(storage, ann), handles(storage, bob)) == (
        bob,
        {P.value, A.value},
        {Q.value, B.value},
    )


@pytest.mark.parametrize("kind", [IdentityKind.PSID, IdentityKind.IGSID])
def test_a_platform_with_one_kind_of_handle_has_nothing_to_join(storage: StorageFixture, kind: IdentityKind) -> None:
    one, other = Identity(kind=kind, value="5527"), Identity(kind=kind, value="55271")

    assert (talk(storage, "1", one) == talk(storage, "2", one), talk(storage, "3", other) == talk(storage, "4", one)) == (True, False)


def test_a_delayed_message_does_not_take_the_number_back(storage: StorageFixture) -> None:
    ann = talk(storage, "I am Ann", P, A, occurred_at=_START)
    dan = talk(storage, "I am Dan", P, C, occurred_at=_START + timedelta(days=3))

    assert talk(storage, "delayed", P, A, occurred_at=_START + timedelta(days=1)) == ann
    assert talk(storage, "delayed, from an id that nobody has seen", P, B, occurred_at=_START + timedelta(days=1)) not in (ann, dan)
    assert (talk(storage, "Dan?", P), handles(storage, dan)) == (dan, {P.value, C.value})
    # Of one person, in the wrong order.
    assert talk(storage, "hello", Q, occurred_at=_START + timedelta(hours=1)) == talk(storage, "hey", Q, occurred_at=_START)


def test_a_number_that_was_left_is_taken_by_whoever_writes_with_it(storage: StorageFixture) -> None:
    ann, cy = talk(storage, "I am Ann", P, A), talk(storage, "I am Cy", B)
    storage.let_in(a_notice(Q, before=(P,)))

    assert (talk(storage, "hi", P, B), talk(storage, "hi", P), cases(storage)) == (cy, cy, [])
    # A notice about somebody else's way to another number is not about Ann, who had this one once.
    storage.let_in(a_notice(R, before=(P,)))
    assert (talk(storage, "Cy?", R), talk(storage, "Ann?", Q)) == (cy, ann)


# Answers on their way


def test_a_running_turn_starts_again_when_the_number_goes_to_somebody_else(storage: StorageFixture) -> None:
    talk(storage, "I am Cy", B)
    (ann,) = storage.let_in(a_message("a secret", by=(P, A)))
    running = storage.claimed()
    assert {handle.value for handle in running.identities} == {P.value, A.value}

    storage.let_in(a_message("hi", by=(P, B)))

    with pytest.raises(Fenced):
        storage.finish(running)
    again = next(claim for claim in (storage.claimed(), storage.claimed()) if claim.contact == ann)
    assert [handle.value for handle in again.identities] == [A.value]


def test_a_waiting_answer_follows_the_person_and_not_the_number(storage: StorageFixture) -> None:
    talk(storage, "I am Cy", B)
    (ann,) = storage.let_in(a_message("a secret", by=(P, A)))
    storage.end(storage.answered(parts=["one", "two"]))

    storage.let_in(a_message("hi", by=(P, B)))
    storage.do("update outbox set not_before = now() where status = 'queued'")

    sending = storage.next_send()
    assert sending is not None
    assert (sending.contact, sending.text, [handle.value for handle in sending.identities]) == (ann, "two", [A.value])


def test_an_answer_to_somebody_who_has_no_handle_left_waits_for_an_operator(storage: StorageFixture) -> None:
    talk(storage, "I am Cy", B)
    (ann,) = storage.let_in(a_message("a secret", by=(P,)))
    storage.end(storage.answered(parts=["one", "two"]))
    storage.let_in(a_message("and another", by=(P,)))

    storage.let_in(a_message("hi", by=(P, B)))

    rows = storage.rows("select status, reason, attention_at is not null from outbox where contact_id = %s and part = 2", ann)
    assert rows == [("failed", "handle_moved", True)]
    assert (storage.next_send(), storage.claimed().contact != ann, storage.claim()) == (None, True, None)


# Notices of the platform


def test_a_changed_id_is_the_same_person_with_memory_and_stop(storage: StorageFixture) -> None:
    ann = talk(storage, "hello", P, A)
    storage.do("update contacts set stopped_at = now()")

    storage.let_in(a_notice(B, before=(A,)))

    assert (talk(storage, "by the new id", B), talk(storage, "late, by the old one", A)) == (ann, ann)
    assert storage.value("select stopped_at is not null from contacts") is True


def test_a_changed_number_is_the_same_person_and_the_old_one_somebody_elses(storage: StorageFixture) -> None:
    ann = talk(storage, "hello", P, A)

    storage.let_in(a_notice(Q, before=(P,)))

    assert handles(storage, ann) == {Q.value}
    assert talk(storage, "with the id that came with it", Q, B) == ann
    assert talk(storage, "who are you?", P) != ann
    assert talk(storage, "me again", B) == ann
    assert cases(storage) == []


@pytest.mark.parametrize("meanwhile", [False, True])
def test_a_changed_number_with_its_new_id_names_its_owner_by_the_old_number(storage: StorageFixture, *, meanwhile: bool) -> None:
    ann = talk(storage, "hello", P, A)
    if meanwhile:
        talk(storage, "first", Q, B)

    storage.let_in(a_notice(B, Q, before=(P,)))

    assert {talk(storage, one.value, one) for one in (Q, B, A)} == {ann}
    assert (storage.value("select count(*) from contacts"), cases(storage)) == (1, [])


@pytest.mark.parametrize("known", [(P, A), (P,)])
def test_a_changed_id_whose_old_one_is_not_named_is_found_by_the_number(storage: StorageFixture, known: tuple[Identity, ...]) -> None:
    ann = talk(storage, "hello", *known)

    storage.let_in(a_notice(B, P, before=(), reason="user_changed_user_id"))

    assert {talk(storage, "again", P, B), talk(storage, "again", B), talk(storage, "again", P)} == {ann}
    assert handles(storage, ann) == {P.value, B.value}


def test_what_the_platform_says_of_a_contact_is_no_change_of_handles(storage: StorageFixture) -> None:
    ann, cy = talk(storage, "I am Ann", P, A), talk(storage, "I am Cy", B)

    (said,) = storage.let_in(a_notice(B, P, before=(), reason="customer_identity_changed"))

    assert (said, cases(storage)) == (cy, [(ann, cy)])


def test_a_message_under_the_new_handle_may_come_before_the_notice(storage: StorageFixture) -> None:
    ann = talk(storage, "hello", P, A)
    storage.do("update contacts set stopped_at = now()")
    early = talk(storage, "from the new one", Q, B)
    assert early != ann

    storage.let_in(a_notice(B, Q, before=(A, P)))

    assert storage.value("select count(*) from contacts") == 1
    assert {talk(storage, "a", A), talk(storage, "b", B), talk(storage, "q", Q)} == {ann}
    assert storage.value("select stopped_at is not null from contacts") is True
    assert cases(storage) == []


def test_a_message_with_the_new_id_and_the_old_number_is_one_person_once_the_notice_comes(storage: StorageFixture) -> None:
    ann = talk(storage, "hello", P, A)
    new = talk(storage, "the id changed, the number did not", P, B)
    assert cases(storage) == [(ann, new)]

    storage.let_in(a_notice(B, before=(A,)))

    assert (storage.value("select count(*) from contacts"), cases(storage)) == (1, [])
    assert talk(storage, "again", P, B) == ann


@pytest.mark.parametrize("times", [1, 2])
def test_a_notice_of_somebody_unknown_is_kept_for_their_first_message(storage: StorageFixture, times: int) -> None:
    for n in range(times):
        storage.let_in(a_notice(B, before=(A,), reason=str(n)))

    assert talk(storage, "old", A) == talk(storage, "new", B)
    assert storage.value("select count(*) from contacts") == 1


def test_notices_of_a_chain_arrive_in_any_order(storage: StorageFixture) -> None:
    ann = talk(storage, "hello", A, occurred_at=_START)
    first = a_notice(B, before=(A,), occurred_at=_START + timedelta(days=1))
    second = a_notice(C, before=(B,), occurred_at=_START + timedelta(days=2))

    for notice in (second, first, a_notice(B, before=(A,), occurred_at=_START + timedelta(days=1), reason="again")):
        storage.let_in(notice)

    assert handles(storage, ann) == {C.value}
    assert {talk(storage, one.value, one) for one in (A, B, C)} == {ann}
    assert storage.value("select count(*) from contacts") == 1


def test_numbers_of_a_chain_end_at_the_newest(storage: StorageFixture) -> None:
    ann = talk(storage, "hello", P, occurred_at=_START)
    storage.let_in(a_notice(R, before=(Q,), occurred_at=_START + timedelta(days=2)))
    storage.let_in(a_notice(Q, before=(P,), occurred_at=_START + timedelta(days=1)))

    assert handles(storage, ann) == {R.value}
    assert talk(storage, "here", R) == ann


def test_the_same_change_told_twice_in_two_ways_is_one_change(storage: StorageFixture) -> None:
    ann = talk(storage, "hello", P, A, occurred_at=_START)
    for minutes, new, before in ((0, (Q,), (P,)), (1, (B,), (A,)), (2, (B, Q), (A,)), (60 * 24, (Q,), (P,))):
        storage.let_in(a_notice(*new, before=before, occurred_at=_START + timedelta(hours=5, minutes=minutes)))

    assert (handles(storage, ann), storage.value("select count(*) from contacts"), cases(storage)) == ({Q.value, B.value}, 1, [])
    assert {talk(storage, one.value, one) for one in (Q, A, B)} == {ann}


def test_a_number_that_was_left_earlier_is_changed_by_its_next_owner(storage: StorageFixture) -> None:
    ann = talk(storage, "hello", P, A, occurred_at=_START)
    storage.let_in(a_notice(Q, B, before=(A,), occurred_at=_START + timedelta(hours=1)))

    # Whoever had the number after her is not known here.
    (said,) = storage.let_in(a_notice(R, before=(P,), occurred_at=_START + timedelta(days=2)))

    assert (said != ann, handles(storage, ann), handles(storage, said)) == (True, {Q.value, B.value}, {R.value})


def test_a_number_and_its_way_back(storage: StorageFixture) -> None:
    ann = talk(storage, "hello", P)
    storage.let_in(a_notice(Q, before=(P,)))
    storage.let_in(a_notice(P, before=(Q,)))

    assert (handles(storage, ann), talk(storage, "back", P)) == ({P.value}, ann)


def test_a_late_message_from_before_the_change_is_still_theirs(storage: StorageFixture) -> None:
    ann = talk(storage, "hello", P, occurred_at=_START)
    storage.let_in(a_notice(Q, before=(P,), occurred_at=_START + timedelta(hours=2)))

    assert talk(storage, "delayed", P, occurred_at=_START + timedelta(hours=1)) == ann
    assert talk(storage, "somebody new", P, occurred_at=_START + timedelta(hours=3)) != ann
    assert handles(storage, ann) == {Q.value}


def test_a_number_that_somebody_else_had_long_before_is_taken_and_not_joined(storage: StorageFixture) -> None:
    bob = talk(storage, "I am Bob", Q, occurred_at=_START)
    later = _START + timedelta(days=4)
    ann = talk(storage, "I am Ann", P, occurred_at=later)

    storage.let_in(a_notice(Q, before=(P,), occurred_at=later + timedelta(hours=1)))

    assert (talk(storage, "my new number", Q), cases(storage)) == (ann, [(bob, ann)])


def test_a_late_notice_does_not_join_the_next_owner_of_the_number(storage: StorageFixture) -> None:
    ann = talk(storage, "I am Ann", P, A, occurred_at=_START)
    dan = talk(storage, "I am Dan", P, C, occurred_at=_START + timedelta(days=3))

    storage.let_in(a_notice(B, Q, before=(A, P), occurred_at=_START + timedelta(days=1)))

    assert (talk(storage, "Ann", Q, B), talk(storage, "Dan", P)) == (ann, dan)
    assert handles(storage, dan) == {P.value, C.value}


def test_a_notice_without_the_old_handle_joins_nobody(storage: StorageFixture) -> None:
    ann = talk(storage, "hello", P, A)

    (said,) = storage.let_in(a_notice(Q, before=()))

    assert said != ann
    # The notice itself is no history: the id of their next message says who they are.
    assert talk(storage, "me", Q, A) == ann
    assert storage.value("select count(*) from contacts") == 1


def test_a_notice_as_the_version_before_wrote_it_names_both_in_one_list(storage: StorageFixture) -> None:
    ann = talk(storage, "hello", P, A)

    storage.let_in(a_notice(B, A, P, before=()), a_notice(Q, P, before=()))

    assert {talk(storage, "x", B), talk(storage, "y", Q)} == {ann}
    assert talk(storage, "z", P) != ann


def test_a_change_of_number_restarts_the_answer_that_was_on_its_way_to_the_old_one(storage: StorageFixture) -> None:
    (ann,) = storage.let_in(a_message("hello", by=(P,)))
    running = storage.claimed()

    storage.let_in(a_notice(Q, before=(P,)))

    with pytest.raises(Fenced):
        storage.finish(running)
    again = storage.claimed()
    assert (again.contact, [handle.value for handle in again.identities]) == (ann, [Q.value])
