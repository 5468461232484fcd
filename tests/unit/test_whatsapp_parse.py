"""WhatsApp webhooks by table: a payload file in, exactly these events out. A new oddity is a new file and a line in expected.jsonl."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bots.channels.envelope import EVENTS_LIMIT
from bots.channels.fields import TEXT_LIMIT
from bots.channels.whatsapp import parse
from bots.domain import EventKind
from tests.support import corpus

FILES = {path.name: path for path in corpus.files("whatsapp")}
EXPECTED = corpus.expected("whatsapp")


def a_text(**more: object) -> dict[str, Any]:
    return {"from": "34600111222", "id": "wamid.A", "timestamp": "1795500000", "type": "text", "text": {"body": "Hola"}, **more}


def a_body(*messages: object) -> bytes:
    value = {"metadata": {"phone_number_id": "7"}, "messages": list(messages)}
    return json.dumps({"entry": [{"id": "9", "changes": [{"field": "messages", "value": value}]}]}).encode()


@pytest.mark.parametrize("name", FILES)
def test_a_payload_gives_exactly_the_events_of_the_table(name: str) -> None:
    row = {"file": name} | corpus.told(parse(FILES[name].read_bytes()), with_codes=True)

    assert EXPECTED[name] == row


def test_every_line_of_the_table_has_its_file_and_there_are_many() -> None:
    assert sorted(EXPECTED) == sorted(FILES)
    assert len(EXPECTED) >= 35


def test_a_second_delivery_has_the_same_keys() -> None:
    for path in FILES.values():
        once, again = parse(path.read_bytes()), parse(path.read_bytes())

        assert [event.event_key for event in once.events] == [event.event_key for event in again.events]


def test_a_message_without_an_id_has_the_key_of_its_content_whatever_the_order_of_its_fields() -> None:
    message = a_text()
    del message["id"]
    other = {**message, "text": {"body": "Adiós"}}
    turned = dict(reversed(message.items()))

    keys = [parse(a_body(one)).events[0].event_key for one in (message, turned, other)]

    assert keys[0] == keys[1] != keys[2]


def test_a_deep_message_without_an_id_has_a_key_of_its_own() -> None:
    keys: set[str] = set()
    for word in ("one", "two"):
        deep = a_body({"type": "text", "text": {"body": word}, "x": "X"}).replace(b'"X"', b"[" * 900 + b"9" * 30 + b"]" * 900)
        keys.add(parse(deep).events[0].event_key)

    assert len(keys) == 2


def test_a_text_is_cut_to_what_we_keep() -> None:
    event = parse(a_body(a_text(text={"body": "a" * (TEXT_LIMIT + 1)}))).events[0]

    assert event.text == "a" * TEXT_LIMIT


def test_a_thousand_updates_in_one_body_are_all_read() -> None:
    events = parse(a_body(*(a_text(id=f"wamid.{n}") for n in range(1000)))).events

    assert [event.event_key for event in events] == [f"wamid.{n}" for n in range(1000)]


def test_a_body_with_more_items_than_any_platform_sends_is_left_to_an_operator() -> None:
    received = parse(a_body(*({} for _ in range(EVENTS_LIMIT + 1))))

    assert len(received.events) == EVENTS_LIMIT
    assert received.reason is not None


def test_a_million_items_that_are_no_objects_are_one_unknown_event() -> None:
    received = parse(a_body(*(0 for _ in range(1_000_000))))

    assert [event.kind for event in received.events] == [EventKind.UNKNOWN]


@pytest.mark.parametrize("wrong", [None, 7, 1.5, True, "", "x", [], ["x"], {}, {"x": 1}])
@pytest.mark.parametrize("name", ["from", "timestamp", "context", "referral", "errors", "from_user_id"])
def test_a_wrong_typed_field_costs_that_field_and_not_the_event(name: str, wrong: object) -> None:
    (event,) = parse(a_body(a_text(**{name: wrong}))).events

    assert (event.kind, event.event_key, event.text, event.supported) == (EventKind.MESSAGE, "wamid.A", "Hola", True)


def _read(**value: object) -> list[tuple[str, list[str], list[str]]]:
    field = str(value.pop("field", "messages"))
    body = {"object": "whatsapp_business_account", "entry": [{"id": "9", "changes": [{"field": field, "value": value}]}]}
    events = parse(json.dumps(body).encode()).events
    return [(one.kind.value, [i.kind.value for i in one.identities], [i.kind.value for i in one.previous]) for one in events]


def test_nothing_of_a_group_names_one_of_its_members() -> None:
    system = {"type": "user_changed_number", "body": "User Ana changed from 34611 to 34711", "wa_id": "34711"}
    changed = {"from": "34611", "group_id": "G1", "id": "wamid.1", "type": "system", "system": system}
    payment = {"id": "wamid.2", "type": "payment", "status": "captured", "recipient_type": "group", "recipient_participant_id": "34611"}
    thread = {"id": "120364", "messages": [{"id": "a", "from": "346"}, {"id": "b", "from": "346", "group_id": "120364"}]}
    known = [{"wa_id": "346"}]

    assert _read(messages=[changed]) == [("system", ["group"], [])]
    assert _read(statuses=[payment]) == [("unknown", [], [])]
    assert _read(field="history", contacts=known, history=[{"threads": [thread]}]) == [("unknown", [], [])]


@pytest.mark.parametrize(
    ("text", "context", "addressed"),
    [
        ("@15550102030 hello", {}, True),
        ("hello @+15550102030", {}, True),
        ("(@15550102030)", {}, True),
        ("@155501020301 hello", {}, False),
        ("@1555010203 hello", {}, False),
        ("15550102030", {}, False),
        ("/help", {}, True),
        ("hello", {"from": "15550102030", "id": "wamid.OUT"}, True),
        ("hello", {"from": "+1 555 010 2030", "id": "wamid.OUT"}, True),
        ("hello", {"from": "34600", "id": "wamid.X"}, False),
        # A forwarded message names no message that it is a reply to.
        ("hello", {"from": "15550102030", "forwarded": True}, False),
    ],
)
def test_a_groups_message_speaks_to_the_account_where_it_names_it_or_replies_to_it(
    text: str, context: dict[str, Any], addressed: bool
) -> None:
    message = {"from": "34611", "group_id": "G1", "id": "wamid.1", "type": "text", "text": {"body": text}, "context": context}
    metadata = {"display_phone_number": "15550102030", "phone_number_id": "7"}
    value = {"messaging_product": "whatsapp", "metadata": metadata, "messages": [message]}
    body = {"object": "whatsapp_business_account", "entry": [{"id": "9", "changes": [{"field": "messages", "value": value}]}]}

    (event,) = parse(json.dumps(body).encode()).events

    assert event.addressed is addressed
