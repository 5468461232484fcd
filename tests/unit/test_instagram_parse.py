"""Instagram webhooks by table: a payload file in, exactly these events out."""

from __future__ import annotations

import pytest

from bots.channels.instagram import parse
from bots.domain import EventKind
from tests.support import build, corpus

FILES = {path.name: path for path in corpus.files("instagram")}
EXPECTED = corpus.expected("instagram")


def test_every_line_of_the_table_has_its_file_and_there_are_many() -> None:
    assert sorted(EXPECTED) == sorted(FILES)
    assert len(EXPECTED) >= 25


@pytest.mark.parametrize("name", FILES)
def test_a_payload_gives_exactly_the_events_of_the_table(name: str) -> None:
    row = {"file": name} | corpus.told(parse(FILES[name].read_bytes()))

    assert EXPECTED[name] == row


def test_an_echo_without_a_tag_is_told_with_its_words_for_the_storage_to_compare() -> None:
    body = build.a_page_webhook(build.an_echo("7001", "Hello", mid="aWd9", account=build.INSTAGRAM_ID), account=build.INSTAGRAM_ID)
    (event,) = parse(body).events

    assert (event.kind, event.text, event.identities[0].value) == (EventKind.ECHO, "Hello", "7001")


def test_a_message_taken_back_is_no_second_delivery_of_the_message() -> None:
    said = build.a_page_item("7001", account=build.INSTAGRAM_ID, message={"mid": "aWd1", "text": "oops"})
    gone = build.a_page_item("7001", account=build.INSTAGRAM_ID, message={"mid": "aWd1", "is_deleted": True})
    events = parse(build.a_page_webhook(said, gone, account=build.INSTAGRAM_ID)).events

    assert [event.kind for event in events] == [EventKind.MESSAGE, EventKind.REVOKE]
    assert len({event.event_key for event in events}) == 2
