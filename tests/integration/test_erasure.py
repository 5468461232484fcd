"""What a contact asks to forget is erased with every copy of its words, and nothing else is."""

from __future__ import annotations

import time
from datetime import date
from typing import Any

import pytest

from bots.domain import End, MediaReference, Outcome, Retry
from bots.errors import Fenced
from bots.storage import claims, exports, summaries
from bots.storage import memories as stored
from bots.storage.database import hot, unit
from bots.storage.turns import Erasure, NewFact
from tests.support.changes import ADA, BOB, a_call, an_unsend, says
from tests.support.remembering import DOG, a_dog, fact, forgets, lived, living, memory, next_claim, said
from tests.support.storage_fixture import StorageFixture
from tests.support.traces import Traces


def _asks(storage: StorageFixture, wish: Erasure, say: str = f"please forget {DOG}", **result: Any) -> None:
    said(storage, say, key="forget", in_history=False, answer=f"Done: I forgot {DOG}.", erase=wish, **result)


@pytest.mark.parametrize("by", ["the contact", "an operator"])
def test_no_table_and_no_file_has_the_words_of_what_was_forgotten(storage: StorageFixture, by: str, traces: Traces) -> None:
    lived(storage)
    before = traces(DOG)
    gone = memory(storage, f"dog {DOG}")

    if by == "the contact":
        _asks(storage, Erasure(memories=[gone]))
    else:
        with unit(storage.crossing) as connection:
            stored.erase(connection, contact=storage.value("select id from contacts"), memories=[gone])

    assert before >= {
        "memories.text", "inbox.text", "inbox.refers", "turns.asked", "turns.answer", "outbox.body", "model_calls.prompt", "envelopes.body",
        "conversations.summary",
    }  # fmt: skip
    assert traces(DOG) == set()
    assert traces.on_disk(DOG) == set()


def test_everything_else_stays(storage: StorageFixture) -> None:
    lived(storage)

    _asks(storage, Erasure(memories=[memory(storage, f"dog {DOG}")]))

    assert living(storage) == {("allergy", "nuts"), ("likes", "oat cakes")}
    assert storage.rows("select text, content_type from inbox order by arrival") == [
        (None, "erased"), ("and I like oat cakes", "text"), (None, "erased"), (None, "erased"), ("and what do I eat?", "text"), (None, "erased"),
    ]  # fmt: skip
    assert [past.asked for past in next_claim(storage).history] == ["and I like oat cakes", "and what do I eat?"]
    assert storage.rows("select body from outbox order by seq") == [
        ("",),
        ("Noted.",),
        ("It is.",),
        ("Meat.",),
        ("Cakes, and no nuts.",),
        ("",),
    ]
    assert storage.value("select sum(tokens_in) from model_calls") == 30


def test_a_name_that_begins_another_word_hits_exactly_that(storage: StorageFixture) -> None:
    said(storage, "My dog is Biscuit", facts=[fact("pet", "dog Biscuit")])
    said(storage, "I like oat biscuits", facts=[fact("likes", "oat biscuits")], answer="Biscuits are good.")
    said(storage, "My cat is Biscuitina", facts=[fact("pet", "cat Biscuitina")])
    said(storage, "Biscuit's ball is red", answer="Red is nice.")

    forgets(storage, "dog Biscuit")

    assert living(storage) == {("likes", "oat biscuits"), ("pet", "cat Biscuitina")}
    assert storage.rows("select text from inbox where content_type <> 'erased' and text <> '/forget it' order by arrival") == [
        ("I like oat biscuits",),
        ("My cat is Biscuitina",),
    ]
    assert storage.value("select count(*) from outbox where body = ''") == 0


def test_one_of_many_memories_is_erased_alone(storage: StorageFixture) -> None:
    things = [f"thing {n}" for n in range(101)]
    for start in range(0, 101, 20):
        said(storage, f"I like things from {start}", facts=[fact("likes", one) for one in things[start : start + 20]])

    forgets(storage, "thing 10")

    assert living(storage) == {("likes", one) for one in things if one != "thing 10"}


def test_a_plan_is_erased_and_not_the_same_plan_for_another_day(storage: StorageFixture) -> None:
    for day in (3, 9):
        said(storage, f"dentist on the {day}th of May", facts=[fact("plan", "dentist", day=date(2027, 5, day))])

    _asks(storage, Erasure(memories=[storage.value("select id from memories where day = '2027-05-03'")]))

    assert storage.rows("select day from memories") == [(date(2027, 5, 9),)]


def test_with_a_memory_goes_its_history(storage: StorageFixture) -> None:
    for town in ("Leeds", "York", "Hull", "York"):
        said(storage, f"I live in {town}", key=f"{town}{storage.value('select count(*) from inbox')}", facts=[fact("place", town)])

    forgets(storage, "York")

    assert storage.value("select count(*) from memories") == 0


def test_what_was_ended_by_itself_stays(storage: StorageFixture) -> None:
    said(storage, "I live in Leeds", facts=[fact("place", "Leeds")])
    said(storage, "not in Leeds any more", ends=[End(kind="place", value="Leeds")])
    said(storage, "I live in York", facts=[fact("place", "York")])

    forgets(storage, "York")

    assert storage.rows("select text, valid_to is null from memories") == [("Leeds", False)]


def test_what_a_forgotten_memory_had_replaced_does_not_come_back_later(storage: StorageFixture) -> None:
    said(storage, "I live in Leeds", facts=[fact("place", "Leeds")])
    said(storage, "I live in York", facts=[fact("place", "York")])
    said(storage, "I like tea", key="tea", facts=[fact("likes", "tea")])
    forgets(storage, "York")

    # All of the contact's memories are settled anew.
    storage.let_in(an_unsend("tea"))

    assert storage.value("select count(*) from memories") == 0


@pytest.mark.parametrize(
    ("kind", "value", "repeats", "others"),
    [
        ("name", "Marta García", ["Hola Marta", "Señora GARCIA"], ["Martas Laden", "a martial art"]),
        ("family", "daughter Amélie", ["amelie is six", "Amelie’s bed"], ["my daughter", "Ameliestraße"]),
        ("family", "Tochter Zoë", ["ZOE schläft"], ["meine Tochter", "der Zoetrop"]),
        ("pet", "cat Mr Pickles", ["Pickles sleeps", "mr. pickles!"], ["my cat", "a pickle", "Mr Smith"]),
        ("pet", "قطة لؤلؤة", ["أين لولوه؟"], ["عندي قطة"]),
        ("condition", "type 1 diabetic", ["diabetic, type 1"], ["type 1 is a font", "a diabetic friend"]),
        ("diet", "no meat", ["meat, no", "No meat for me"], ["no problem. Is there meat?", "meat? no", "meat"]),
        ("place", "Calle Mayor 5, Elda", ["to Calle Mayor 5 in Elda"], ["Calle Mayor 7 in Elda"]),
        ("allergy", "erdnüsse", ["Sind ERDNUSSE drin?"], ["eine Erdnuss"]),
        ("name", "李雷", ["我叫李雷。"], ["李先生"]),
    ],
)
def test_what_repeats_a_memory_and_what_does_not(
    storage: StorageFixture, kind: str, value: str, repeats: list[str], others: list[str]
) -> None:
    said(storage, "the source", facts=[fact(kind, value)])
    for text in (*repeats, *others):
        said(storage, text, answer="ok")

    forgets(storage, value)

    left = [
        row.text for row in storage.rows("select text from inbox where content_type <> 'erased' and text <> '/forget it' order by arrival")
    ]
    assert sorted(left) == sorted(others)


def test_a_name_that_is_a_common_word_does_not_take_half_of_the_talk_with_it(storage: StorageFixture) -> None:
    said(storage, "My name is Will", facts=[fact("name", "Will")], answer="Hello Will!")
    for n in range(20):
        said(storage, f"will you come on day {n}?", answer="I will.")
    said(storage, "WILL here again", answer="Welcome.")

    forgets(storage, "Will")

    assert storage.value("select count(*) from inbox where content_type = 'erased'") == 2
    assert storage.value("select count(*) from outbox where body = ''") == 1


def test_another_person_keeps_the_same_words(storage: StorageFixture) -> None:
    said(storage, f"My dog is {DOG}", facts=[a_dog()], key="b", by=BOB)
    said(storage, f"My dog is {DOG}", facts=[a_dog()], key="a", by=ADA)

    forgets(storage, f"dog {DOG}")

    assert storage.rows("select text, content_type from inbox order by arrival") == [
        (f"My dog is {DOG}", "text"), (None, "erased"), ("/forget it", "text"),
    ]  # fmt: skip
    assert storage.value("select count(*) from memories") == 1


def test_notes_are_made_anew_from_what_is_left(storage: StorageFixture) -> None:
    lived(storage)

    _asks(storage, Erasure(memories=[memory(storage, f"dog {DOG}")]))
    claimed = summaries.claim(storage.crossing, "batch.default", lease_s=60)

    assert claimed is not None
    assert (claimed.summary, [turn.asked for turn in claimed.turns]) == (None, ["and I like oat cakes"])


def test_exports_and_what_was_recalled_have_nothing_of_it(storage: StorageFixture) -> None:
    lived(storage)

    _asks(storage, Erasure(memories=[memory(storage, f"dog {DOG}")]))

    with hot(storage.crossing) as connection:
        told = [turn.asked for talk in exports.talks(connection, tenant=storage.account.tenant_id, days=9, limit=9) for turn in talk.turns]
    assert told == ["and I like oat cakes", "and what do I eat?"]
    assert storage.value("select (select count(*) from recalls) + (select count(*) from recalled_turns)") == 0


def test_a_picture_goes_with_its_message(storage: StorageFixture) -> None:
    said(storage, f"this is {DOG}", facts=[a_dog()], message_more={"media": (MediaReference(kind="image", reference="1"),)})

    forgets(storage, f"dog {DOG}")

    assert storage.value("select count(*) from media") == 0


# The message that asks, and our answer


def test_our_answer_is_sent_with_its_words_and_kept_without(storage: StorageFixture, traces: Traces) -> None:
    said(storage, f"My dog is {DOG}", facts=[a_dog()])
    storage.let_in(says(f"/forget {DOG}", "f"))
    claim = storage.claimed()
    wish = Erasure(memories=[memory(storage, f"dog {DOG}")])

    sending = storage.finish(claim, asked=None, answer=None, in_history=False, parts=[f"I forgot {DOG}."], erase=wish)
    assert sending is not None
    before = storage.value("select body from outbox where id = %s", sending.message)
    storage.end(sending)

    assert (sending.text, before) == (f"I forgot {DOG}.", f"I forgot {DOG}.")
    assert traces(DOG) == set()


def test_an_answer_that_never_left_is_swept_later(storage: StorageFixture, traces: Traces) -> None:
    said(storage, f"My dog is {DOG}", facts=[a_dog()])
    storage.let_in(says("/forget 1", "f"))
    wish = Erasure(memories=[memory(storage, f"dog {DOG}")])
    sending = storage.finish(storage.claimed(), answer=None, in_history=False, parts=[f"I forgot {DOG}."], erase=wish)
    assert sending is not None
    storage.end(sending, Outcome.REJECTED, retry=Retry.NEVER)

    claims.keep_house(storage.crossing, envelope_days=7)

    assert traces(DOG) == set()


def test_a_turn_that_waits_for_its_model_is_still_answered_and_then_keeps_no_words(storage: StorageFixture, traces: Traces) -> None:
    said(storage, f"My dog is {DOG}", facts=[a_dog()])
    storage.let_in(says(f"/forget {DOG}", "f"), says("what time is it?", "g"))
    wish = Erasure(memories=[memory(storage, f"dog {DOG}")])
    storage.finish(storage.claimed(), state="wait", parts=[], answer=None, retry_s=0, erase=wish)

    again = storage.claimed()
    storage.finish(again, asked="what time is it?", answer="Noon.", parts=["Noon."])

    assert [message.text for message in again.messages] == [f"/forget {DOG}", "what time is it?"]
    assert traces(DOG) == set()
    assert [past.asked for past in next_claim(storage).history] == ["what time is it?"]


# Everything


def test_everything_leaves_no_word_and_counts_stay(storage: StorageFixture, traces: Traces) -> None:
    lived(storage)
    said(storage, f"what of {DOG}?", key="closed", close=True)
    storage.let_in(says(f"delete everything, {DOG} too", "all"), says("my name is Rosalba", "new"))
    claim = storage.claimed()
    name = NewFact(kind="name", text="Rosalba", topic="", source=claim.messages[1].id)
    sending = storage.finish(
        claim, asked=None, answer=None, in_history=False, parts=["All is erased."], facts=[name], erase=Erasure(everything=True)
    )
    assert sending is not None
    storage.end(sending)

    for words in (DOG, "oat cakes", "nuts", "is that right", "Noted"):
        assert traces(words) == set()
    assert traces.on_disk(DOG) == set()
    assert living(storage) == {("name", "Rosalba")}
    assert storage.rows("select text from inbox where text is not null") == [("my name is Rosalba",)]
    assert storage.value("select count(*) from inbox_keys") == 8
    assert storage.value("select sum(tokens_in) from model_calls") == 30
    assert storage.rows("select body from outbox where body <> ''") == [("All is erased.",)]
    assert next_claim(storage).history == []


def test_a_running_turn_of_another_conversation_is_fenced_and_begins_again(storage: StorageFixture, traces: Traces) -> None:
    said(storage, f"My dog is {DOG}", facts=[a_dog()])
    other = storage.another_account("two")
    contact = storage.value("select id from contacts")
    storage.do(
        "insert into conversations (tenant_id, account_id, contact_id, queue, ready_at) values (%s, %s, %s, 'reply.default', now())",
        storage.account.tenant_id, other, contact,
    )  # fmt: skip
    storage.do(
        "insert into inbox (tenant_id, account_id, event_key, kind, contact_id, conversation_id, text, content_type, supported)"
        " select tenant_id, account_id, 'k', 'message', contact_id, id, 'hello', 'text', true from conversations where account_id = %s", other,
    )  # fmt: skip
    running = storage.claimed()
    said(storage, "delete everything", answer="Done.", in_history=False, erase=Erasure(everything=True))

    with pytest.raises(Fenced):
        storage.finish(running, calls=[a_call(f"dog {DOG}")])
    again = storage.claimed()

    assert [message.text for message in again.messages] == ["hello"]
    assert (again.memories, again.history, traces(DOG)) == ([], [], set())


def test_what_still_waits_for_an_answer_is_later_than_the_wish(storage: StorageFixture) -> None:
    said(storage, "hello")
    storage.let_in(says("delete everything", "all"))
    claim = storage.claimed()
    storage.let_in(says("do you sell bread?", "bread"))
    storage.finish(claim, answer=None, in_history=False, erase=Erasure(everything=True))

    assert [message.text for message in storage.claimed().messages] == ["do you sell bread?"]


def test_forgetting_very_much_after_a_little_takes_no_longer(storage: StorageFixture) -> None:
    said(storage, "hello")
    contact = storage.value("select id from contacts")
    storage.do(
        "insert into inbox (tenant_id, account_id, event_key, kind, contact_id, conversation_id, turn_id, text, content_type, supported)"
        " select i.tenant_id, i.account_id, 'k' || n, 'message', i.contact_id, i.conversation_id, i.turn_id, 'hello', 'text', true"
        " from inbox i, generate_series(1, 6000) n"
    )

    with unit(storage.crossing) as connection:
        # The plan is made for a few messages, and kept.
        for some in (*[1] * 6, 6000):
            began = time.monotonic()
            connection.exec_driver_sql("select turns_with(%s, array(select id from inbox limit %s))", (contact, some))

    assert time.monotonic() - began < 3


# One turn


def test_of_a_turn_no_word_stays_and_what_its_facts_replaced_holds_again(storage: StorageFixture, traces: Traces) -> None:
    said(storage, "I live in Leeds", facts=[fact("place", "Leeds")])
    turn = said(storage, f"I moved to {DOG}, my code is 7714", key="w1", facts=[fact("place", DOG)], answer="Noted: 7714.").turn
    said(storage, "and?", answer=f"{DOG} is nice.")

    said(storage, "forget that", answer="Done.", in_history=False, erase=Erasure(turns=[turn]))

    assert (living(storage), traces(DOG), traces("7714")) == ({("place", "Leeds")}, set(), set())
