"""What a contact asks to forget is erased with every copy of its words, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest

from bots.domain import EventKind, Fact, InboundEvent, MediaReference, Outcome, Retry
from bots.errors import Fenced
from bots.storage import claims, exports, summaries
from bots.storage import memories as stored
from bots.storage.database import hot, unit
from bots.storage.turns import Erasure, NewFact, Recalled, RecalledTurn
from tests.support.changes import ADA, BOB, a_call, an_edit, an_unsend, says
from tests.support.cluster import Cluster
from tests.support.remembering import fact, forgets, living, memory, next_claim, said
from tests.support.storage_fixture import StorageFixture, a_message
from tests.support.traces import in_files, in_tables

_DOG = "Quibbleton"


class Traces:
    """Looks for words in a database, as somebody who sees all of it."""

    def __init__(self, cluster: Cluster, database: str) -> None:
        self._cluster, self._database = cluster, database

    def __call__(self, words: str = _DOG) -> set[str]:
        """The columns that have them."""
        engine = self._cluster.engine(self._database)
        with engine.connect() as connection:
            found = in_tables(connection, words)
        engine.dispose()
        return found

    def on_disk(self, words: str = _DOG) -> set[str]:
        """The tables and indexes whose files have them."""
        return in_files(self._cluster, self._database, words)


@pytest.fixture
def traces(storage: StorageFixture, cluster: Cluster) -> Traces:
    """Where words are in the database of the test."""
    return Traces(cluster, storage.value("select current_database()"))


def _dog() -> Fact:
    return fact("pet", f"dog {_DOG}")


def _lived(storage: StorageFixture) -> None:
    """Somebody talks about their dog in every way in which a word can be stored."""
    first = said(storage, f"My dog is {_DOG}", key="w1", facts=[_dog(), fact("allergy", "nuts")], answer=f"Hello {_DOG}!")
    said(storage, "and I like oat cakes", key="w2", facts=[fact("likes", "oat cakes")], answer="Noted.")
    said(
        storage,
        "is that right?",
        key="w3",
        message_more={"quoted": "w1", "refers": (("advertisement", f"Collars for {_DOG}"),)},
        asked=f'(in reply to: "My dog is {_DOG}")\nis that right?',
        answer="It is.",
        recalls=[Recalled(memory=memory(storage, f"dog {_DOG}"), reason="said before")],
        recalled=[RecalledTurn(turn=first.turn, signals=["words"])],
    )
    said(storage, f"what does {_DOG.upper()} eat?", key="w4", answer="Meat.", calls=[a_call(f'I know: "dog: {_DOG}"', "what does it eat?")])
    said(storage, "and what do I eat?", key="w5", answer="Cakes, and no nuts.", calls=[a_call("and what do I eat?")])
    storage.do(f"update conversations set summary = 'They have a dog, {_DOG}.', summary_until = 3")


def _asks(storage: StorageFixture, wish: Erasure, say: str = f"please forget {_DOG}", **result: Any) -> None:
    said(storage, say, key="forget", in_history=False, answer=f"Done: I forgot {_DOG}.", erase=wish, **result)


@pytest.mark.parametrize("by", ["the contact", "an operator"])
def test_no_table_and_no_file_has_the_words_of_what_was_forgotten(storage: StorageFixture, by: str, traces: Traces) -> None:
    _lived(storage)
    before = traces()
    gone = memory(storage, f"dog {_DOG}")

    if by == "the contact":
        _asks(storage, Erasure(memories=[gone]))
    else:
        with unit(storage.crossing) as connection:
            stored.erase(connection, contact=storage.value("select id from contacts"), memories=[gone])

    assert before >= {
        "memories.text", "inbox.text", "inbox.refers", "turns.asked", "turns.answer", "outbox.body", "model_calls.prompt", "envelopes.body",
        "conversations.summary",
    }  # fmt: skip
    assert traces() == set()
    assert traces.on_disk() == set()


def test_everything_else_stays(storage: StorageFixture) -> None:
    _lived(storage)

    _asks(storage, Erasure(memories=[memory(storage, f"dog {_DOG}")]))

    assert living(storage) == {("allergy", "nuts"), ("likes", "oat cakes")}
    assert storage.rows("select text, content_type from inbox order by arrival") == [
        (None, "erased"), ("and I like oat cakes", "text"), (None, "erased"), (None, "erased"), ("and what do I eat?", "text"), (None, "erased"),
    ]  # fmt: skip
    assert [past.asked for past in next_claim(storage).history] == ["and I like oat cakes", "and what do I eat?"]
    assert storage.rows("select body from outbox order by seq") == [("",), ("Noted.",), ("It is.",), ("Meat.",), ("Cakes, and no nuts.",), ("",)]
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


def test_ended_versions_go_too_and_what_was_replaced_stays_ended(storage: StorageFixture) -> None:
    for town in ("Leeds", "York", "Hull", "York"):
        said(storage, f"I live in {town}", key=f"{town}{storage.value('select count(*) from inbox')}", facts=[fact("place", town)])

    forgets(storage, "York")

    assert storage.rows("select text, valid_to is null from memories order by said_at") == [("Leeds", False), ("Hull", False)]
    assert living(storage) == set()


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
def test_what_repeats_a_memory_and_what_does_not(storage: StorageFixture, kind: str, value: str, repeats: list[str], others: list[str]) -> None:
    said(storage, "the source", facts=[fact(kind, value)])
    for text in (*repeats, *others):
        said(storage, text, answer="ok")

    forgets(storage, value)

    left = [row.text for row in storage.rows("select text from inbox where content_type <> 'erased' and text <> '/forget it' order by arrival")]
    assert sorted(left) == sorted(others)


def test_another_person_keeps_the_same_words(storage: StorageFixture) -> None:
    said(storage, f"My dog is {_DOG}", facts=[_dog()], key="b", by=BOB)
    said(storage, f"My dog is {_DOG}", facts=[_dog()], key="a", by=ADA)

    forgets(storage, f"dog {_DOG}")

    assert storage.rows("select text, content_type from inbox order by arrival") == [
        (f"My dog is {_DOG}", "text"), (None, "erased"), ("/forget it", "text"),
    ]  # fmt: skip
    assert storage.value("select count(*) from memories") == 1


def test_notes_are_made_anew_from_what_is_left(storage: StorageFixture) -> None:
    _lived(storage)

    _asks(storage, Erasure(memories=[memory(storage, f"dog {_DOG}")]))
    claimed = summaries.claim(storage.crossing, "batch.default", lease_s=60)

    assert claimed is not None
    assert (claimed.summary, [turn.asked for turn in claimed.turns]) == (None, ["and I like oat cakes"])


def test_exports_and_what_was_recalled_have_nothing_of_it(storage: StorageFixture) -> None:
    _lived(storage)

    _asks(storage, Erasure(memories=[memory(storage, f"dog {_DOG}")]))

    with hot(storage.crossing) as connection:
        told = [turn.asked for talk in exports.talks(connection, tenant=storage.account.tenant_id, days=9, limit=9) for turn in talk.turns]
    assert told == ["and I like oat cakes", "and what do I eat?"]
    assert storage.value("select (select count(*) from recalls) + (select count(*) from recalled_turns)") == 0


def test_a_picture_goes_with_its_message(storage: StorageFixture) -> None:
    said(storage, f"this is {_DOG}", facts=[_dog()], message_more={"media": (MediaReference(kind="image", reference="1"),)})

    forgets(storage, f"dog {_DOG}")

    assert storage.value("select count(*) from media") == 0


# The message that asks, and our answer


def test_our_answer_is_sent_with_its_words_and_kept_without(storage: StorageFixture, traces: Traces) -> None:
    said(storage, f"My dog is {_DOG}", facts=[_dog()])
    storage.let_in(says(f"/forget {_DOG}", "f"))
    claim = storage.claimed()
    wish = Erasure(memories=[memory(storage, f"dog {_DOG}")])

    sending = storage.finish(claim, asked=None, answer=None, in_history=False, parts=[f"I forgot {_DOG}."], erase=wish)
    assert sending is not None
    before = storage.value("select body from outbox where id = %s", sending.message)
    storage.end(sending)

    assert (sending.text, before) == (f"I forgot {_DOG}.", f"I forgot {_DOG}.")
    assert traces() == set()


def test_an_answer_that_never_left_is_swept_later(storage: StorageFixture, traces: Traces) -> None:
    said(storage, f"My dog is {_DOG}", facts=[_dog()])
    storage.let_in(says("/forget 1", "f"))
    wish = Erasure(memories=[memory(storage, f"dog {_DOG}")])
    sending = storage.finish(storage.claimed(), answer=None, in_history=False, parts=[f"I forgot {_DOG}."], erase=wish)
    assert sending is not None
    storage.end(sending, Outcome.REJECTED, retry=Retry.NEVER)

    claims.keep_house(storage.crossing, envelope_days=7)

    assert traces() == set()


def test_a_turn_that_waits_for_its_model_is_still_answered_and_then_keeps_no_words(storage: StorageFixture, traces: Traces) -> None:
    said(storage, f"My dog is {_DOG}", facts=[_dog()])
    storage.let_in(says(f"/forget {_DOG}", "f"), says("what time is it?", "g"))
    wish = Erasure(memories=[memory(storage, f"dog {_DOG}")])
    storage.finish(storage.claimed(), state="wait", parts=[], answer=None, retry_s=0, erase=wish)

    again = storage.claimed()
    storage.finish(again, asked="what time is it?", answer="Noon.", parts=["Noon."])

    assert [message.text for message in again.messages] == [f"/forget {_DOG}", "what time is it?"]
    assert traces() == set()
    assert [past.asked for past in next_claim(storage).history] == ["what time is it?"]


# Everything


def test_everything_leaves_no_word_and_counts_stay(storage: StorageFixture, traces: Traces) -> None:
    _lived(storage)
    said(storage, f"what of {_DOG}?", key="closed", close=True)
    storage.let_in(says(f"delete everything, {_DOG} too", "all"), says("my name is Rosalba", "new"))
    claim = storage.claimed()
    name = NewFact(kind="name", text="Rosalba", topic="", source=claim.messages[1].id)
    sending = storage.finish(claim, asked=None, answer=None, in_history=False, parts=["All is erased."], facts=[name], erase=Erasure(everything=True))
    assert sending is not None
    storage.end(sending)

    for words in (_DOG, "oat cakes", "nuts", "is that right", "Noted"):
        assert traces(words) == set()
    assert traces.on_disk() == set()
    assert living(storage) == {("name", "Rosalba")}
    assert storage.rows("select text from inbox where text is not null") == [("my name is Rosalba",)]
    assert storage.value("select count(*) from inbox_keys") == 8
    assert storage.value("select sum(tokens_in) from model_calls") == 30
    assert storage.rows("select body from outbox where body <> ''") == [("All is erased.",)]
    assert next_claim(storage).history == []


def test_a_running_turn_of_another_conversation_is_fenced_and_begins_again(storage: StorageFixture, traces: Traces) -> None:
    said(storage, f"My dog is {_DOG}", facts=[_dog()])
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
        storage.finish(running, calls=[a_call(f"dog {_DOG}")])
    again = storage.claimed()

    assert [message.text for message in again.messages] == ["hello"]
    assert (again.memories, again.history, traces()) == ([], [], set())


def test_what_still_waits_for_an_answer_is_later_than_the_wish(storage: StorageFixture) -> None:
    said(storage, "hello")
    storage.let_in(says("delete everything", "all"))
    claim = storage.claimed()
    storage.let_in(says("do you sell bread?", "bread"))
    storage.finish(claim, answer=None, in_history=False, erase=Erasure(everything=True))

    assert [message.text for message in storage.claimed().messages] == ["do you sell bread?"]


# One turn


def test_of_a_turn_no_word_stays_and_what_its_facts_replaced_holds_again(storage: StorageFixture, traces: Traces) -> None:
    said(storage, "I live in Leeds", facts=[fact("place", "Leeds")])
    turn = said(storage, f"I moved to {_DOG}, my code is 7714", key="w1", facts=[fact("place", _DOG)], answer="Noted: 7714.").turn
    said(storage, "and?", answer=f"{_DOG} is nice.")

    said(storage, "forget that", answer="Done.", in_history=False, erase=Erasure(turns=[turn]))

    assert (living(storage), traces(), traces("7714")) == ({("place", "Leeds")}, set(), set())


# A bot that must keep messages


def test_a_bot_that_keeps_messages_tells_them_nowhere(storage: StorageFixture, traces: Traces) -> None:
    with storage.web.begin() as connection:
        connection.exec_driver_sql("update bots set keeps_messages = true")
    _lived(storage)

    _asks(storage, Erasure(memories=[memory(storage, f"dog {_DOG}")]))

    assert traces() == {"inbox.text", "inbox.refers", "outbox.body"}
    assert [past.asked for past in next_claim(storage).history] == ["and I like oat cakes", "and what do I eat?"]


# What comes late


@pytest.mark.parametrize("keeps", [False, True])
def test_a_late_edit_brings_no_words_back(storage: StorageFixture, traces: Traces, *, keeps: bool) -> None:
    with storage.web.begin() as connection:
        connection.exec_driver_sql("update bots set keeps_messages = %s", (keeps,))
    said(storage, f"My dog is {_DOG}", key="w1", facts=[_dog()])
    forgets(storage, f"dog {_DOG}")

    storage.let_in(an_edit("w1", f"My dog is {_DOG}!", facts=[_dog()]), body=_DOG.encode())

    assert traces() == ({"inbox.text"} if keeps else set())
    assert living(storage) == set()
    assert storage.value("select count(*) from turns where asked is not null and in_history") == 0


def test_a_second_delivery_brings_no_words_back(storage: StorageFixture, traces: Traces) -> None:
    said(storage, f"My dog is {_DOG}", key="w1", facts=[_dog()])
    forgets(storage, f"dog {_DOG}")

    storage.let_in(says(f"My dog is {_DOG}", "w1"), body=_DOG.encode())
    storage.let_in(says(f"My dog is {_DOG}", "w1"), says("hello", "w9"), body=_DOG.encode())

    assert traces() == set()


def test_a_copy_in_standby_brings_no_words_back(storage: StorageFixture, traces: Traces) -> None:
    said(storage, f"My dog is {_DOG}", key="w1", facts=[_dog()])
    forgets(storage, f"dog {_DOG}")

    copy = InboundEvent(kind=EventKind.STANDBY, event_key="standby:w1", identities=(ADA,), text=f"My dog is {_DOG}")
    storage.let_in(copy, body=_DOG.encode())

    assert traces() == set()


def test_a_quotation_of_it_says_nothing(storage: StorageFixture) -> None:
    said(storage, f"My dog is {_DOG}", key="w1", facts=[_dog()])
    forgets(storage, f"dog {_DOG}")

    storage.let_in(a_message("this one", quoted="w1"))

    assert storage.claimed().messages[0].quoted is None


def test_an_erased_message_can_still_be_taken_back(storage: StorageFixture) -> None:
    said(storage, f"My dog is {_DOG}", key="w1", facts=[_dog()])
    forgets(storage, f"dog {_DOG}")

    storage.let_in(an_unsend("w1"))

    assert storage.rows("select content_type from inbox order by arrival limit 1") == [("unsent",)]


def test_said_again_it_is_remembered_again(storage: StorageFixture) -> None:
    said(storage, f"My dog is {_DOG}", key="w1", facts=[_dog()])
    forgets(storage, f"dog {_DOG}")

    said(storage, f"My dog is {_DOG}", key="w2", facts=[_dog()])

    assert living(storage) == {("pet", f"dog {_DOG}")}
