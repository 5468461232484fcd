"""After something was forgotten: nothing that comes late brings its words back, and a bot that must keep messages tells them nowhere."""

from __future__ import annotations

import pytest

from bots.domain import DeliveryStatus, EventKind, InboundEvent, StatusUpdate
from bots.storage.turns import Erasure
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


# Our own answers


def _answered(storage: StorageFixture) -> str:
    """An answer with the name, and its id on the platform."""
    said(storage, f"My dog is {DOG}", key="w1", facts=[a_dog()], answer=f"Hello {DOG}!")
    return str(storage.value("select external_id from outbox"))


def test_an_echo_of_a_forgotten_answer_brings_no_words_back(storage: StorageFixture, traces: Traces) -> None:
    sent = _answered(storage)
    forgets(storage, f"dog {DOG}")

    status = StatusUpdate(external_id=sent, status=DeliveryStatus.SENT)
    echo = InboundEvent(
        kind=EventKind.ECHO, event_key=f"echo:{sent}", identities=(ADA,), text=f"Hello {DOG}!", supported=False, status=status
    )
    storage.let_in(echo, body=f"Hello {DOG}!".encode())

    assert traces(DOG) == set()


@pytest.mark.parametrize("keeps", [False, True])
def test_staff_who_edit_a_forgotten_answer_bring_no_words_back(storage: StorageFixture, traces: Traces, *, keeps: bool) -> None:
    with storage.web.begin() as connection:
        connection.exec_driver_sql("update bots set keeps_messages = %s", (keeps,))
    sent = _answered(storage)
    forgets(storage, f"dog {DOG}")

    storage.let_in(an_edit(f"echo:{sent}", f"Hello dear {DOG}!"), body=DOG.encode())

    assert traces(DOG) == ({"inbox.text", "outbox.body"} if keeps else set())


@pytest.mark.parametrize("wish", ["that", "everything"])
def test_what_staff_made_of_an_answer_is_forgotten_with_it(storage: StorageFixture, traces: Traces, wish: str) -> None:
    turn = said(storage, "good morning", answer="Hello.").turn
    sent = str(storage.value("select external_id from outbox"))
    storage.let_in(an_edit(f"echo:{sent}", f"Hello dear {DOG}!"), body=DOG.encode())

    said(storage, "forget that", in_history=False, answer="Done.", erase=Erasure(turns=[turn], everything=wish == "everything"))

    assert traces(DOG) == set()
