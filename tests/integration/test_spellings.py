"""Two spellings of one number are one person; answers go to the number as they wrote it last."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bots.admin import conversations
from bots.channels.whatsapp.numbers import one_number
from bots.domain import DeliveryStatus, EventKind, InboundEvent, StatusUpdate
from tests.integration.test_two_people import A, a_notice, handles, talk
from tests.support.storage_fixture import StorageFixture, a_message, a_phone
from tests.unit.test_whatsapp_numbers import SAME, UNTOUCHED

OLD, NEW = a_phone("558587654321"), a_phone("5585987654321")


def test_postgres_and_the_parser_have_the_same_rules(storage: StorageFixture) -> None:
    numbers = [number for spellings in SAME.values() for number in spellings] + list(UNTOUCHED.values())
    numbers += [
        f"{country}{extra}{area}{local}"
        for country in ("52", "54", "55")
        for extra in ("", "1", "9")
        for area in ("11", "21", "351", "2901")
        for local in ("1512345", "15123456", "87654321", "987654321", "321", "154567890")
    ]

    found = storage.rows("select n, one_number('phone', n), one_number('bsuid', n) from unnest(%s::text[]) n", numbers)

    assert [(n, one, other) for n, one, other in found] == [(n, one_number(n), n) for n in numbers]


@pytest.mark.parametrize("name", SAME)
def test_each_spelling_finds_the_same_person(storage: StorageFixture, name: str) -> None:
    numbers = [a_phone(number) for number in SAME[name]]

    contacts = {talk(storage, number.value, number) for number in (*numbers, *reversed(numbers))}

    assert len(contacts) == 1
    assert storage.value("select count(*) from contact_identities") == 1


def test_an_answer_goes_to_the_number_as_the_person_wrote_it_last(storage: StorageFixture) -> None:
    for number in (OLD, NEW, OLD):
        storage.let_in(a_message("oi", by=(number,)))
        claim = storage.claimed()
        assert [handle.value for handle in claim.identities] == [number.value]
        sending = storage.finish(claim, parts=["one", "two"])
        assert sending is not None
        storage.end(sending, next_part_s=0.0)
        second = storage.next_send()
        assert second is not None
        assert [handle.value for handle in second.identities] == [number.value]
        storage.end(second)


def test_a_colleagues_echo_to_the_other_spelling_holds_the_same_conversation(storage: StorageFixture) -> None:
    person = talk(storage, "Boa tarde", OLD)
    # A person needs a while to read it and to answer.
    storage.do("update inbox set occurred_at = now() - interval '1 minute'")

    storage.let_in(_echo("Oi, aqui é a Rita da loja"))

    storage.let_in(a_message("Oi Rita", by=(OLD,), occurred_at=datetime.now(UTC) + timedelta(seconds=20)))
    assert (storage.claim(), storage.value("select count(*) from contacts"), handles(storage, person)) == (None, 1, {OLD.value})


def test_a_case_of_numbers_is_seen_in_any_spelling(storage: StorageFixture) -> None:
    ann = talk(storage, "hello", OLD, A)

    storage.let_in(a_notice(a_phone("34600333444"), before=(NEW,)))

    assert handles(storage, ann) == {"34600333444"}
    assert talk(storage, "who is this?", OLD) != ann


def test_a_notice_that_only_respells_a_number_changes_nothing(storage: StorageFixture) -> None:
    ann = talk(storage, "hello", OLD, A)

    storage.let_in(a_notice(NEW, before=(OLD,)))

    assert talk(storage, "again", NEW) == talk(storage, "again", OLD) == talk(storage, "again", A) == ann
    assert storage.value("select count(*) from contact_identities where retired_at is null") == 2


def test_a_report_up_to_a_time_finds_the_recipient_in_the_other_spelling(storage: StorageFixture) -> None:
    talk(storage, "hello", OLD)
    storage.do("update outbox set status = 'sent'")
    until = replace(
        a_message(key="mark", by=(NEW,)),
        kind=EventKind.STATUS,
        text=None,
        status=StatusUpdate(external_id="", status=DeliveryStatus.READ, watermark=datetime.now(UTC)),
    )

    storage.let_in(until)

    assert storage.value("select status from outbox") == "read"


@pytest.mark.parametrize("asked", ["558587654321", "5585987654321", "+55 85 98765-4321", "+55 (85) 8765-4321"])
def test_an_operators_search_finds_any_spelling(storage: StorageFixture, asked: str) -> None:
    talk(storage, "Boa tarde", OLD)

    assert len(conversations.list_newest(storage.deps, storage.operator(), search=asked)) == 1


def _echo(text: str) -> InboundEvent:
    status = StatusUpdate(external_id="wamid.ECHO", status=DeliveryStatus.SENT)
    return InboundEvent(kind=EventKind.ECHO, event_key="echo:1", identities=(NEW,), text=text, status=status, supported=False)
