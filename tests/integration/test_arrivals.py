"""Webhooks that arrive together are stored as each of them would be alone, and what is the matter with one harms none beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from bots.domain import DeliveryStatus, EventKind, InboundEvent, MediaReference, Outcome, Retry
from bots.extract.unfinished import Waits
from bots.storage import conversations, inbox
from bots.storage.arrivals import Arrival
from bots.storage.database import hot, unit
from bots.storage.line import Line
from tests.support.arrivals import accept_many
from tests.support.changes import ADA, BOB, an_edit, an_unsend, says
from tests.support.cluster import Cluster
from tests.support.storage_fixture import QUEUE, StorageFixture, a_bsuid, a_message, a_phone, a_status, open_storage

SENT, DELIVERED, READ = DeliveryStatus.SENT, DeliveryStatus.DELIVERED, DeliveryStatus.READ
ENDED, OPEN, STATEMENT, UNMARKED = Waits(0, 0, 0), Waits(3, 3, 3), Waits(3, 0, 3), Waits(1, 0, 0)
CYD = a_phone("34600555666")
#: Webhooks that arrive together, after what has happened before.
Scene = Callable[[StorageFixture], list[list[InboundEvent]]]


@pytest.fixture
def apart(cluster: Cluster) -> Iterator[StorageFixture]:
    """A second database, in which each webhook is stored by itself."""
    database = cluster.database()
    opened = open_storage(cluster, database)
    yield opened
    for engine in (opened.web, opened.worker, opened.crossing):
        engine.dispose()
    cluster.drop(database)


def as_arrivals(storage: StorageFixture, webhooks: Sequence[Sequence[InboundEvent]]) -> list[Arrival]:
    """These as the web has read them."""
    return [
        Arrival(account=storage.account, queue=QUEUE, body=f"body {n}".encode(), events=tuple(events)) for n, events in enumerate(webhooks)
    ]


def together(storage: StorageFixture, webhooks: Sequence[Sequence[InboundEvent]]) -> set[int]:
    """Store these in one transaction; returns the places of those that were left out."""
    with closing(Line(storage.crossing)) as line:
        return accept_many(line, as_arrivals(storage, webhooks), debounce_s=3.0, debounce_cap_s=20.0)


def alone(storage: StorageFixture, arrival: Arrival) -> None:
    """Store one by itself."""
    with hot(storage.crossing) as connection:
        inbox.accept(connection, storage.account, arrival.events, queue=QUEUE, body=arrival.body, debounce_s=3.0, debounce_cap_s=20.0)


def _known(storage: StorageFixture, *people: InboundEvent) -> None:
    storage.let_in(*people, body=b"before")


def _answered(storage: StorageFixture, external_id: str | None = "wamid.O", outcome: Outcome = Outcome.ACCEPTED, **result: Any) -> Any:
    storage.let_in(says("a question", f"q:{external_id}"), body=b"before")
    sending = storage.answered(**result)
    if outcome is Outcome.ACCEPTED:
        storage.end(sending, external_id=external_id)
    else:
        storage.end(sending, outcome, retry=Retry.LATER if outcome is Outcome.UNKNOWN else Retry.NEVER)
    return sending


# What is plain: nothing of it is left out.


def _two_people_for_the_first_time(_storage: StorageFixture) -> list[list[InboundEvent]]:
    return [[says("hi", "w1", by=BOB, contact_name="Bob")], [says("hello", "w2", contact_name="Ada")], [says("and", "w3", by=BOB)]]


def _people_who_are_known(storage: StorageFixture) -> list[list[InboundEvent]]:
    _known(storage, says("before", "w0"), says("before", "v0", by=BOB))
    return [[says("one", "w1")], [says("two", "w2", by=BOB), says("three", "w3")], [says("four", "w4")]]


def _ids_and_numbers(storage: StorageFixture) -> list[list[InboundEvent]]:
    both = (a_bsuid(), a_phone("5511987654321"))
    _known(storage, a_message("before", key="w0", by=both))
    return [[a_message("one", key="w1", by=both)], [a_message("two", key="w2", by=(a_bsuid("US.2"), a_phone("15550001111")))]]


def _a_button_after_words(_storage: StorageFixture) -> list[list[InboundEvent]]:
    return [
        [says("well", "w1")],
        [says("Yes", "w2", reply_at_once=True)],
        [says("Yes", "v1", by=BOB, reply_at_once=True)],
        [says("no", "v2", by=BOB)],
    ]


def _words_with_all_that_they_can_have(_storage: StorageFixture) -> list[list[InboundEvent]]:
    pictures = (MediaReference(kind="image", reference="m1", media_type="image/png"), MediaReference(kind="image", reference="m2"))
    refers = (("advertisement", "Oak lamp"), ("file", "a.pdf"))
    return [
        [
            says("look", "w1", media=pictures, content_type="image"),
            says("this", "w2", quoted="w1", refers=refers, supported=False, reason="odd"),
        ]
    ]


def _a_second_delivery(storage: StorageFixture) -> list[list[InboundEvent]]:
    _known(storage, says("before", "w0"))
    return [[says("before", "w0")], [says("new", "w1")]]


def _a_message_that_must_wait(storage: StorageFixture) -> list[list[InboundEvent]]:
    _known(storage, says("before", "w0"))
    storage.do("update conversations set hold_until = now() + interval '1 hour', waiting_since = now() - interval '15 seconds'")
    return [[says("more", "w1")]]


def _a_conversation_that_was_placed(storage: StorageFixture) -> list[list[InboundEvent]]:
    _known(storage, says("before", "w0"), says("before", "v0", by=BOB))
    storage.do(
        "update conversations set queue = 'reply.default.@e1' where contact_id = (select contact_id from inbox where event_key = 'w0')"
    )
    storage.do(
        "update conversations set queue = 'reply.other.@e1' where contact_id = (select contact_id from inbox where event_key = 'v0')"
    )
    return [[says("more", "w1")], [says("more", "v1", by=BOB)]]


def _a_conversation_that_was_closed(storage: StorageFixture) -> list[list[InboundEvent]]:
    _known(storage, says("before", "w0"))
    storage.do("update conversations set closed_at = now(), ready_at = null")
    return [[says("again", "w1")]]


def _statuses_in_disorder(storage: StorageFixture) -> list[list[InboundEvent]]:
    _answered(storage)
    return [[a_status("wamid.O", READ)], [a_status("wamid.O", SENT), a_status("wamid.O", DELIVERED)], [a_status("wamid.else", SENT)]]


def _a_status_that_lets_the_next_part_go(storage: StorageFixture) -> list[list[InboundEvent]]:
    _answered(storage, parts=["one", "two"])
    return [[a_status("wamid.O", DELIVERED)]]


def _hundreds_of_statuses_and_some_messages(storage: StorageFixture) -> list[list[InboundEvent]]:
    _answered(storage)
    unknown = [a_status(f"wamid.X{n}", step) for n in range(60) for step in (READ, SENT, DELIVERED)]
    lines = [says(f"line {n}", f"l{n}", by=(ADA, BOB)[n % 2]) for n in range(20)]
    return [[*unknown, a_status("wamid.O", READ), *lines], [a_status("wamid.O", DELIVERED), says("two", "v1", by=BOB)]]


def _messages_beside_statuses(storage: StorageFixture) -> list[list[InboundEvent]]:
    _answered(storage)
    return [[says("thanks", "w1"), a_status("wamid.O", DELIVERED)], [a_status("wamid.O", SENT)], [says("hi", "v1", by=BOB)]]


# How long is waited for more after each: what its own words say, and what was said before.


def _quiet(storage: StorageFixture, *people: InboundEvent) -> None:
    """They wrote, and nothing has been said for a minute."""
    _known(storage, *people)
    storage.do("update conversations set newest_at = now() - interval '1 minute', waiting_since = null, ready_at = null")


def _asked(storage: StorageFixture, answer: str, person: InboundEvent) -> None:
    """The bot has said this to somebody a minute ago."""
    storage.let_in(person, body=b"before")
    storage.answered(answer=answer, parts=[answer])
    storage.do("update conversations set newest_at = now() - interval '1 minute'")


def _whole_questions_and_beginnings(storage: StorageFixture) -> list[list[InboundEvent]]:
    _quiet(storage, says("before", "w0"))
    return [
        [says("When do you open?", "w1", waits=ENDED)],
        [says("Hi", "v1", by=BOB, waits=OPEN)],
        [says("Do you ship to Norway?", "u1", by=CYD, waits=ENDED)],
    ]


def _statements(storage: StorageFixture) -> list[list[InboundEvent]]:
    _quiet(storage, says("before", "w0"))
    return [[says("I need a lamp.", "w1", waits=STATEMENT)], [says("how much is it", "v1", by=BOB, waits=UNMARKED)]]


def _a_piece_within_seconds(storage: StorageFixture) -> list[list[InboundEvent]]:
    _known(storage, says("Hi", "w0", waits=OPEN), says("Hi", "v0", by=BOB, waits=OPEN))
    return [[says("when do you open?", "w1", waits=ENDED)], [says("/help", "v1", by=BOB, reply_at_once=True)]]


def _a_piece_while_the_model_works(storage: StorageFixture) -> list[list[InboundEvent]]:
    _known(storage, says("When do you open?", "w0", waits=ENDED))
    storage.claimed()
    storage.do("update conversations set waiting_since = null")
    return [[says("on Sunday?", "w1", waits=ENDED)]]


def _pieces_that_arrive_together(storage: StorageFixture) -> list[list[InboundEvent]]:
    _quiet(storage, says("before", "w0"))
    return [
        [says("Hi", "w1", waits=OPEN)],
        [says("When do you open?", "v1", by=BOB, waits=ENDED), says("and", "v2", by=BOB, waits=OPEN)],
        [says("when do you open?", "w2", waits=ENDED)],
        [says("Good evening", "u1", by=CYD, waits=OPEN), says("When do you open?", "u2", by=CYD, waits=ENDED)],
    ]


def _somebody_who_never_makes_a_mark(storage: StorageFixture) -> list[list[InboundEvent]]:
    _quiet(storage, *(says("where is it", f"w0{n}") for n in range(3)), *(says("Where is it?", f"v0{n}", by=BOB) for n in range(3)))
    return [[says("how much is it", "w1", waits=UNMARKED)], [says("how much is it", "v1", by=BOB, waits=UNMARKED)]]


def _an_answer_to_the_bots_question(storage: StorageFixture) -> list[list[InboundEvent]]:
    _asked(storage, "Which size?", says("A jacket, please.", "w0", waits=ENDED))
    _asked(storage, "It is on its way.", says("My jacket?", "v0", by=BOB, waits=ENDED))
    return [[says("Medium.", "w1", waits=STATEMENT)], [says("Medium.", "v1", by=BOB, waits=STATEMENT)]]


def _somebody_who_has_waited_nearly_as_long_as_anybody(storage: StorageFixture) -> list[list[InboundEvent]]:
    _known(storage, says("Hi", "w0", waits=OPEN))
    storage.do("update conversations set waiting_since = now() - interval '15 seconds'")
    return [[says("and", "w1", waits=OPEN)]]


_PLAIN = (
    _two_people_for_the_first_time,
    _people_who_are_known,
    _ids_and_numbers,
    _a_button_after_words,
    _words_with_all_that_they_can_have,
    _a_second_delivery,
    _a_message_that_must_wait,
    _a_conversation_that_was_placed,
    _a_conversation_that_was_closed,
    _statuses_in_disorder,
    _a_status_that_lets_the_next_part_go,
    _messages_beside_statuses,
    _hundreds_of_statuses_and_some_messages,
    _whole_questions_and_beginnings,
    _statements,
    _a_piece_within_seconds,
    _a_piece_while_the_model_works,
    _pieces_that_arrive_together,
    _somebody_who_never_makes_a_mark,
    _an_answer_to_the_bots_question,
    _somebody_who_has_waited_nearly_as_long_as_anybody,
)

# What is not: the first webhook is left out, and the second is stored beside it.


def _another_spelling(storage: StorageFixture) -> list[list[InboundEvent]]:
    _known(storage, says("before", "w0", by=a_phone("5511987654321")))
    return [[says("one", "w1", by=a_phone("551187654321"))], [says("two", "v1", by=BOB)]]


def _a_number_that_went_to_another_id(storage: StorageFixture) -> list[list[InboundEvent]]:
    _known(storage, a_message("before", key="w0", by=(a_bsuid("US.1"), ADA)))
    return [[a_message("one", key="w1", by=(a_bsuid("US.2"), ADA))], [says("two", "v1", by=BOB)]]


def _an_id_for_a_known_number(storage: StorageFixture) -> list[list[InboundEvent]]:
    _known(storage, says("before", "w0"))
    return [[a_message("one", key="w1", by=(a_bsuid("US.2"), ADA))], [says("two", "v1", by=BOB)]]


def _a_conversation_of_a_person(storage: StorageFixture) -> list[list[InboundEvent]]:
    _known(storage, says("before", "w0"))
    with unit(storage.crossing) as connection:
        conversations.take(
            connection, tenant=storage.account.tenant_id, conversation=storage.value("select id from conversations"), by="ana"
        )
    return [[says("one", "w1")], [says("two", "v1", by=BOB)]]


def _a_message_that_was_edited_before(storage: StorageFixture) -> list[list[InboundEvent]]:
    _known(storage, an_edit("w1", "better"))
    return [[says("worse", "w1")], [says("two", "v1", by=BOB)]]


def _a_message_that_was_unsent_before(storage: StorageFixture) -> list[list[InboundEvent]]:
    _known(storage, an_unsend("w1"))
    return [[says("secret", "w1")], [says("two", "v1", by=BOB)]]


def _a_message_that_came_in_standby(storage: StorageFixture) -> list[list[InboundEvent]]:
    _known(storage, replace(says("words", "standby:w1"), kind=EventKind.STANDBY))
    storage.do("update inbox set forgotten_at = now()")
    return [[says("words", "w1")], [says("two", "v1", by=BOB)]]


def _half_a_second_delivery(storage: StorageFixture) -> list[list[InboundEvent]]:
    _known(storage, says("before", "w0"))
    return [[says("before", "w0"), says("new", "w1")], [says("two", "v1", by=BOB)]]


def _a_status_of_an_open_send(storage: StorageFixture) -> list[list[InboundEvent]]:
    storage.let_in(says("a question", "q"), body=b"before")
    sending = storage.answered()
    return [[a_status("wamid.O", DELIVERED, correlation=sending.message)], [says("two", "v1", by=BOB)]]


def _a_status_of_an_unknown_send(storage: StorageFixture) -> list[list[InboundEvent]]:
    sending = _answered(storage, outcome=Outcome.UNKNOWN)
    return [[a_status("wamid.O", SENT, correlation=sending.message)], [says("two", "v1", by=BOB)]]


def _a_status_of_a_failed_send(storage: StorageFixture) -> list[list[InboundEvent]]:
    _answered(storage)
    storage.let_in(a_status("wamid.O", DeliveryStatus.FAILED), body=b"before")
    return [[a_status("wamid.O", READ)], [says("two", "v1", by=BOB)]]


_ODD = (
    _another_spelling,
    _a_number_that_went_to_another_id,
    _an_id_for_a_known_number,
    _a_conversation_of_a_person,
    _a_message_that_was_edited_before,
    _a_message_that_was_unsent_before,
    _a_message_that_came_in_standby,
    _half_a_second_delivery,
    _a_status_of_an_open_send,
    _a_status_of_an_unknown_send,
    _a_status_of_a_failed_send,
)

_STORED = {
    "people": "select c.name, array_agg(i.kind || i.value || i.norm || coalesce(' retired' || (i.retired_at is not null), '') order by i.kind, i.norm)"
    " from contacts c join contact_identities i on i.contact_id = c.id group by c.id, c.name order by 2",
    "conversations": "select (select min(value) from contact_identities where contact_id = v.contact_id), queue, taken_by, closed_at is null,"
    " case when ready_at = hold_until then -1 else round(extract(epoch from ready_at - newest_at) / 2) end, waiting_since is null, newest_at is null, hold_until is null from conversations v order by 1, 4",
    "messages": "select event_key, i.kind, text, content_type, supported, i.reason, quoted, refers::text, target, i.forgotten_at is null, c.closed_at is null,"
    " (select min(value) from contact_identities where contact_id = i.contact_id), convert_from(e.body, 'utf8'), e.state"
    " from inbox i left join envelopes e on e.id = i.envelope_id left join conversations c on c.id = i.conversation_id order by event_key",
    "order": "select i.contact_id is null, array_agg(event_key order by arrival) from inbox i group by i.contact_id order by 2",
    "pictures": "select n, kind, reference, media_type from media order by reference",
    "keys": "select event_key from inbox_keys order by 1",
    "bodies": "select convert_from(body, 'utf8'), state, reason, (select count(*) from envelope_contacts x where x.envelope_id = e.id) from envelopes e order by 1",
    "statuses": "select external_id, status, occurred_at, error_code, correlation is null from statuses order by 1, 2",
    "sends": "select part, status, external_id, not_before <= now() + interval '1 second', attention_at is null, reason, body from outbox order by seq",
}


def _told(storage: StorageFixture) -> dict[str, list[tuple[Any, ...]]]:
    return {what: [tuple(row) for row in storage.rows(query)] for what, query in _STORED.items()}


@pytest.mark.parametrize("scene", [*_PLAIN, *_ODD], ids=lambda scene: scene.__name__.strip("_"))
def test_what_arrives_together_is_stored_as_each_would_be_alone(storage: StorageFixture, apart: StorageFixture, scene: Scene) -> None:
    webhooks = scene(storage)
    left_out = together(storage, webhooks)
    beside = storage.value("select count(*) from inbox where event_key in ('w2', 'v1')")
    for place in sorted(left_out):
        alone(storage, as_arrivals(storage, webhooks)[place])
    for arrival in as_arrivals(apart, scene(apart)):
        alone(apart, arrival)

    assert left_out == ({0} if scene in _ODD else set())
    assert beside == 1 or scene in _PLAIN
    assert _told(storage) == _told(apart)
    # Again, and nothing changes.
    assert together(storage, webhooks) == set()
    assert _told(storage) == _told(apart)
