"""After something was forgotten: nothing that comes late brings its words back, and a bot that must keep messages tells them nowhere."""

from __future__ import annotations

import pytest

from bots.domain import EventKind, InboundEvent
from tests.support.changes import ADA, an_edit, an_unsend, says
from tests.support.remembering import DOG, a_dog, forgets, lived, living, next_claim, said
from tests.support.storage_fixture import StorageFixture, a_message
from tests.support.traces import Traces

# A bot that must keep messages


def test_a_bot_that_keeps_messages_tells_them_nowhere(storage: StorageFixture, traces: Traces) -> None:
    with storage.web.begin() as connection:
        connection.exec_driver_sql("update bots set keeps_messages = true")
    lived(storage)

    forgets(storage, f"dog {DOG}", say=f"forget {DOG}")

    assert traces(DOG) == {"inbox.text", "inbox.refers", "outbox.body"}
    assert [past.asked for past in next_claim(storage).history] == ["and I like oat cakes", "and what do I eat?"]


# What comes late


@pytest.mark.parametrize("keeps", [False, True])
def test_a_late_edit_brings_no_words_back(storage: StorageFixture, traces: Traces, *, keeps: bool) -> None:
    with storage.web.begin() as connection:
        connection.exec_driver_sql("update bots set keeps_messages = %s", (keeps,))
    said(storage, f"My dog is {DOG}", key="w1", facts=[a_dog()])
    forgets(storage, f"dog {DOG}")

    storage.let_in(an_edit("w1", f"My dog is {DOG}!", facts=[a_dog()]), body=DOG.encode())

    assert traces(DOG) == ({"inbox.text"} if keeps else set())
    assert living(storage) == set()
    assert storage.value("select count(*) from turns where asked is not null and in_history") == 0


def test_a_second_delivery_brings_no_words_back(storage: StorageFixture, traces: Traces) -> None:
    said(storage, f"My dog is {DOG}", key="w1", facts=[a_dog()])
    forgets(storage, f"dog {DOG}")

    storage.let_in(says(f"My dog is {DOG}", "w1"), body=DOG.encode())
    storage.let_in(says(f"My dog is {DOG}", "w1"), says("hello", "w9"), body=DOG.encode())

    assert traces(DOG) == set()


def test_a_copy_in_standby_brings_no_words_back(storage: StorageFixture, traces: Traces) -> None:
    said(storage, f"My dog is {DOG}", key="w1", facts=[a_dog()])
    forgets(storage, f"dog {DOG}")

    copy = InboundEvent(kind=EventKind.STANDBY, event_key="standby:w1", identities=(ADA,), text=f"My dog is {DOG}")
    storage.let_in(copy, body=DOG.encode())

    assert traces(DOG) == set()


def test_a_quotation_of_it_says_nothing(storage: StorageFixture) -> None:
    said(storage, f"My dog is {DOG}", key="w1", facts=[a_dog()])
    forgets(storage, f"dog {DOG}")

    storage.let_in(a_message("this one", quoted="w1"))

    assert storage.claimed().messages[0].quoted is None


def test_an_erased_message_can_still_be_taken_back(storage: StorageFixture) -> None:
    said(storage, f"My dog is {DOG}", key="w1", facts=[a_dog()])
    forgets(storage, f"dog {DOG}")

    storage.let_in(an_unsend("w1"))

    assert storage.rows("select content_type from inbox order by arrival limit 1") == [("unsent",)]


def test_said_again_it_is_remembered_again(storage: StorageFixture) -> None:
    said(storage, f"My dog is {DOG}", key="w1", facts=[a_dog()])
    forgets(storage, f"dog {DOG}")

    said(storage, f"My dog is {DOG}", key="w2", facts=[a_dog()])

    assert living(storage) == {("pet", f"dog {DOG}")}
