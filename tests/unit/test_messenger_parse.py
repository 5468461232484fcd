"""Messenger webhooks by table: a payload file in, exactly these events out."""

from __future__ import annotations

import json

import pytest

from bots.channels.messenger import parse
from bots.domain import EventKind
from tests.support import build, corpus

FILES = {path.name: path for path in corpus.files("messenger")}
EXPECTED = corpus.expected("messenger")


def test_every_line_of_the_table_has_its_file_and_there_are_many() -> None:
    assert sorted(EXPECTED) == sorted(FILES)
    assert len(EXPECTED) >= 25


@pytest.mark.parametrize("name", FILES)
def test_a_payload_gives_exactly_the_events_of_the_table(name: str) -> None:
    row = {"file": name} | corpus.told(parse(FILES[name].read_bytes()))

    assert EXPECTED[name] == row


def test_a_postback_comes_again_with_its_key_and_another_press_with_another() -> None:
    pressed = build.a_page_item("6001", postback={"title": "Hours", "payload": "H"}, at=1795500000.1)
    again = build.a_page_item("6001", postback={"title": "Hours", "payload": "H"}, at=1795500001.1)

    keys = [parse(build.a_page_webhook(item)).events[0].event_key for item in (pressed, pressed, again)]

    assert keys[0] == keys[1] != keys[2]


def test_a_standby_copy_does_not_take_the_key_of_the_message_itself() -> None:
    item = build.a_page_item("6001", message={"mid": "m_1", "text": "Hi"})
    entry = {"id": build.PAGE_ID, "messaging": [item], "standby": [item]}

    events = parse(json.dumps({"object": "page", "entry": [entry]}).encode()).events

    assert [event.kind for event in events] == [EventKind.MESSAGE, EventKind.STANDBY]
    assert len({event.event_key for event in events}) == 2


def test_our_own_echo_carries_the_id_that_we_gave_it() -> None:
    tag = "0b8f7f3e-5f0e-4c3a-9a55-0f4f6e1b2c3d"
    (event,) = parse(build.a_page_webhook(build.an_echo("6001", "Hello", mid="m_9", metadata=tag))).events

    assert event.status is not None
    assert (event.kind, event.event_key, event.status.external_id, event.status.correlation) == (EventKind.STATUS, "echo:m_9", "m_9", tag)
