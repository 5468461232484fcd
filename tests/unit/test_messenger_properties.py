"""Any bytes are read to something by both channels of page messaging, and everything that comes out can be stored."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.channels import instagram, messenger
from bots.domain import EventKind, Received
from tests.support import corpus

BOUND_S = 8.0
Parse = Callable[[bytes], Received]
PARSERS: list[Parse] = [messenger.parse, instagram.parse]
BODIES = [path.read_bytes() for channel in ("messenger", "instagram") for path in corpus.files(channel)]
READABLE = [json.loads(body) for body in BODIES if body.startswith(b"{\n")]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["message", "m_1", "\x00", "\ud800", True]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
parsers = st.sampled_from(PARSERS)


def check(received: Received) -> None:
    """Assert that Postgres could store all of it, and that a second delivery would be recognised."""
    for event in received.events:
        assert event.event_key
        assert len(event.event_key) <= 1024
        words = [event.event_key, event.account_external_id, event.text, event.content_type, event.reason]
        words += [identity.value for identity in event.identities]
        words += [word for one in event.media for word in (one.kind, one.reference, one.media_type)]
        if event.status is not None:
            words += [event.status.external_id, event.status.correlation]
            assert event.status.external_id or (event.status.watermark is not None and event.identities)
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
        assert not (event.kind is EventKind.ECHO and not event.identities)
        assert not (event.reply_at_once and not event.supported)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Go through all places in a JSON value: the container and the key."""
    for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(inner, dict | list):
            yield from places(inner)


@given(parsers, st.binary(max_size=4096))
def test_any_bytes_are_read_to_something(parse: Parse, body: bytes) -> None:
    check(parse(body))


@given(parsers, json_values)
def test_any_json_is_read_to_something(parse: Parse, value: Any) -> None:
    check(parse(json.dumps(value).encode()))


@given(parsers, st.sampled_from(BODIES), st.data())
def test_a_payload_with_some_bytes_changed_is_read_to_something(parse: Parse, body: bytes, data: st.DataObject) -> None:
    changed = bytearray(body)
    for _ in range(data.draw(st.integers(1, 4))):
        if changed:
            start = data.draw(st.integers(0, len(changed) - 1))
            changed[start : start + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))

    check(parse(bytes(changed)))


@given(parsers, st.sampled_from(READABLE), st.data())
def test_a_payload_with_any_value_put_anywhere_is_read_to_something(parse: Parse, payload: Any, data: st.DataObject) -> None:
    changed = copy.deepcopy(payload)
    holder, key = data.draw(st.sampled_from(list(places(changed))))
    holder[key] = data.draw(json_values)

    check(parse(json.dumps(changed).encode()))


@given(parsers, st.sampled_from(READABLE), json_values)
def test_nothing_costs_its_neighbours_in_the_batch(parse: Parse, payload: Any, odd: Any) -> None:
    good = {"sender": {"id": "6001"}, "recipient": {"id": "2"}, "message": {"mid": "m_GOOD", "text": "still here"}}
    entry = {"id": "2", "messaging": [odd, {"message": odd}, {"delivery": odd}, good], "standby": [odd], "changes": [odd]}
    among = payload.get("entry") or []
    entries = [odd, entry, *(among if isinstance(among, list) else [among]), odd]

    received = parse(json.dumps({"entry": entries}).encode())

    check(received)
    assert "still here" in [event.text for event in received.events if event.event_key == "m_GOOD"]


@pytest.mark.parametrize("parse", PARSERS, ids=["messenger", "instagram"])
@pytest.mark.parametrize(
    "body",
    [
        b'{"entry":[' + b"{}," * 1_000_000 + b"{}]}",
        b'{"entry":[{"messaging":[' + b"0," * 1_400_000 + b"0]}]}",
        b'{"entry":[{"messaging":[{"delivery":{"mids":[' + b'"a",' * 700_000 + b'"b"]}}]}]}',
        b'{"entry":[{"messaging":[{"message":{"attachments":[' + b"0," * 1_400_000 + b"0]}}]}]}",
        b'{"entry":[{"messaging":[{"message":' + b"[" * 1_000_000,
    ],
    ids=["empty_entries", "numbers", "mids", "attachments", "brackets"],
)
def test_the_largest_hostile_bodies_are_read_in_bounded_time(parse: Parse, body: bytes) -> None:
    began = time.monotonic()

    check(parse(body))

    assert time.monotonic() - began < BOUND_S


@pytest.mark.parametrize("parse", PARSERS, ids=["messenger", "instagram"])
def test_a_second_delivery_has_the_same_keys(parse: Parse) -> None:
    for body in BODIES:
        once, again = parse(body), parse(body)

        assert [event.event_key for event in once.events] == [event.event_key for event in again.events]
