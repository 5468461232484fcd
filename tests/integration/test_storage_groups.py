"""A group whose account does not answer groups: no words of it stay, and what was answered before can still be taken back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bots.channels.groups import settled
from bots.domain import EventKind, Identity, IdentityKind, InboundEvent
from tests.support.changes import an_unsend, says
from tests.support.storage_fixture import StorageFixture

_GROUP = Identity(kind=IdentityKind.GROUP, value="g1")


def in_group(event: InboundEvent, *, answers: bool, addressed: bool = True) -> InboundEvent:
    """The event as an account takes it that answers in groups, or does not."""
    (found,) = settled([replace(event, addressed=addressed)], answers=answers)
    return found


@pytest.mark.parametrize("addressed", [True, False])
def test_no_words_are_stored_of_a_group_that_is_not_answered(storage: StorageFixture, addressed: bool) -> None:
    words = says("my code is 7714", "w1", by=_GROUP, quoted="w0", refers=(("member of the group", "Ada"),))
    storage.let_in(in_group(words, answers=False, addressed=addressed), body=b'{"body":"my code is 7714"}')

    assert storage.rows("select kind, text, quoted, refers, contact_id from inbox") == [("unknown", None, None, None, None)]
    assert storage.rows("select body from envelopes") == [(None,)]
    assert storage.claim() is None


def test_an_edit_of_a_group_that_is_not_answered_has_no_words_either(storage: StorageFixture) -> None:
    edit = InboundEvent(kind=EventKind.EDIT, event_key="e", identities=(_GROUP,), text="my code is 7714", target="w1", supported=False)
    storage.let_in(in_group(edit, answers=False), body=b'{"body":"my code is 7714"}')

    assert storage.rows("select text from inbox") == [(None,)]
    assert storage.rows("select body from envelopes") == [(None,)]


def test_the_body_of_a_group_that_is_answered_stays_for_its_time(storage: StorageFixture) -> None:
    storage.let_in(in_group(says("when do you open?", "w1", by=_GROUP), answers=True), body=b'{"body":"when"}')

    assert storage.value("select body is not null from envelopes")
    assert storage.claimed().messages[0].text == "when do you open?"


def test_what_was_answered_in_a_group_can_be_taken_back_when_groups_are_not_answered_any_more(storage: StorageFixture) -> None:
    storage.let_in(in_group(says("my code is 7714", "w1", by=_GROUP), answers=True))
    storage.finish(storage.claimed(), asked="my code is 7714")
    storage.let_in(in_group(an_unsend("w1", by=_GROUP), answers=False))

    assert storage.rows("select kind, text, content_type from inbox where event_key = 'w1'") == [("unsent", None, "unsent")]
    assert "7714" not in str(storage.rows("select asked from turns"))


def test_nobody_takes_back_a_private_message_from_a_group(storage: StorageFixture) -> None:
    storage.let_in(says("see you on Friday", "w1"))
    storage.let_in(in_group(an_unsend("w1", by=_GROUP), answers=False))

    assert storage.claimed().messages[0].text == "see you on Friday"
