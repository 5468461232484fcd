"""Any bytes are read to something, in bounded time, and everything that comes out can be stored."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.channels.whatsapp import parse
from bots.domain import EventKind, Received

CORPUS = Path(__file__).parent.parent / "corpus" / "whatsapp"
BODIES = [path.read_bytes() for path in sorted(CORPUS.glob("*.json")) if path.stat().st_size < 4096]
READABLE = [json.loads(body) for body in BODIES if body.startswith(b"{\n")]
#: What a body of the largest size may take on a slow machine that runs other tests beside it.
BOUND_S = 8.0

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["text", "messages", "wamid.A", "\x00", "\ud800"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def check(received: Received) -> None:
    """Assert that Postgres could store all of it, and that a second delivery would be recognised."""
    for event in received.events:
        assert event.event_key
        assert len(event.event_key) <= 1024
        words = [event.event_key, event.account_external_id, event.contact_name, event.text, event.content_type, event.reason]
        words += [identity.value for identity in event.identities]
        words += [word for one in event.media for word in (one.kind, one.reference, one.media_type)]
        if event.status is not None:
            words += [event.status.external_id, event.status.correlation]
            assert event.status.error_code is None or abs(event.status.error_code) < 2**31
        words += [event.target, event.quoted, event.app_id, *(word for pair in event.refers for word in pair)]
        words += [identity.value for identity in event.previous]
        if event.notice is not None:
            words += [event.notice.field, event.notice.event, event.notice.detail]
        assert (event.kind is EventKind.ACCOUNT) == (event.notice is not None)
        assert not (event.notice is not None and event.identities)
        assert not set(event.identities) & set(event.previous)
        assert all(len(word) <= 2_048 for pair in event.refers for word in pair)
        for word in words:
            assert word is None or ("\x00" not in word and word.encode("utf-8") is not None)
        assert event.occurred_at is None or event.occurred_at.tzinfo is not None
        assert (event.kind in {EventKind.STATUS, EventKind.ECHO}) == (event.status is not None)
        assert not (event.kind is EventKind.MESSAGE and event.supported and not (event.media or event.refers or (event.text or "").strip()))


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Go through all places in a JSON value: the container and the key."""
    for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(inner, dict | list):
            yield from places(inner)


@given(st.binary(max_size=4096))
def test_any_bytes_are_read_to_something(body: bytes) -> None:
    check(parse(body))


@given(json_values)
def test_any_json_is_read_to_something(value: Any) -> None:
    check(parse(json.dumps(value).encode()))


@given(st.sampled_from(BODIES), st.data())
def test_a_payload_with_some_bytes_changed_is_read_to_something(body: bytes, data: st.DataObject) -> None:
    changed = bytearray(body)
    for _ in range(data.draw(st.integers(1, 4))):
        if changed:
            start = data.draw(st.integers(0, len(changed) - 1))
            changed[start : start + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))

    check(parse(bytes(changed)))


@given(st.sampled_from(READABLE), st.data())
def test_a_payload_with_any_value_put_anywhere_is_read_to_something(payload: Any, data: st.DataObject) -> None:
    changed = copy.deepcopy(payload)
    holder, key = data.draw(st.sampled_from(list(places(changed))))
    holder[key] = data.draw(json_values)

    check(parse(json.dumps(changed).encode()))


@given(st.sampled_from(READABLE), json_values)
def test_nothing_costs_its_neighbours_in_the_batch(payload: Any, odd: Any) -> None:
    good = {"from": "34600111222", "id": "wamid.GOOD", "type": "text", "text": {"body": "still here"}}
    value = {"messages": [odd, good], "statuses": [odd], "contacts": [odd]}
    entries = [odd, {"changes": [odd, {"field": "messages", "value": value}]}, *(payload.get("entry") or []), odd]

    received = parse(json.dumps({"entry": entries}).encode())

    check(received)
    assert "still here" in [event.text for event in received.events if event.event_key == "wamid.GOOD"]


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 3_000_000,
        b'{"a":' * 600_000,
        b'"' + b'\\"' * 1_500_000,
        b'{"entry":' + b"[" * 1000 + b'"' + b'\\"' * 1_400_000,
        b'{"entry":[' + b"{}," * 1_000_000 + b"{}]}",
        b'{"entry":[{"changes":[{"field":"x","value":{"a":[' + b"0," * 1_400_000 + b"0]}}]}]}",
        b'{"entry":[' + b"9" * 3_000_000 + b"]}",
        b'{"entry":[{"time":"'
        + b" " * 1_500_000
        + b'","id":"'
        + b" " * 1_000_000
        + b'","changes":['
        + b'{"field":"account_update","value":{}},' * 10_000
        + b"0]}]}",
        b"\xff" * 3_000_000,
        b"{" + b'"a":1,' * 500_000 + b'"a":1}',
    ],
    ids=["brackets", "objects", "quotes", "deep_quotes", "empty_entries", "numbers", "one_number", "notices", "no_utf8", "one_key"],
)
def test_the_largest_hostile_bodies_are_read_in_bounded_time(body: bytes) -> None:
    began = time.monotonic()

    check(parse(body))

    assert time.monotonic() - began < BOUND_S
