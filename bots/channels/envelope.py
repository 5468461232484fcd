"""What the webhooks of all Meta channels have in common: one JSON object whose `object` names the platform, with entries in it.

Total: any bytes give a Received. What is not understood becomes an event of kind unknown, and the other items are read all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from bots.channels.fields import OPENINGS_LIMIT, Fields, NotJson, TooMuch, as_fields, clean, decode, digest, items, word_of
from bots.domain import EventKind, InboundEvent, Received

#: The platforms send at most 1,000 updates in a body; beyond this the body waits for an operator.
EVENTS_LIMIT = 5_000
#: More items than these that are not understood are not stored one by one: their body waits for an operator.
UNKNOWN_LIMIT = 100
_COMMAND_LIMIT = 64
#: How many items that are not objects go into the key of their event.
_SEEN = 100

#: Reads the events in a JSON object.
Reader = Callable[[Fields], Iterable[InboundEvent]]


def read_body(body: bytes, platform: str, entry: Reader, bare: Reader) -> Received:
    """Read a platform's webhook body entry by entry; `bare` reads an item without the wrapping, as a dashboard's samples are."""
    try:
        found = as_fields(decode(body))
    except NotJson:
        return Received(reason="the body is not JSON")
    except TooMuch:
        return Received(reason=f"more than {OPENINGS_LIMIT} objects and lists in one body")
    if found is None:
        return Received(reason="the body is not a JSON object")
    events = tuple(islice(_events(found, platform, entry, bare), EVENTS_LIMIT + 1))
    if len(events) > UNKNOWN_LIMIT and (few := _many(events)):
        return few
    if not events and not isinstance(found.get("entry"), list):
        return Received(reason="the body contains no entry")
    return Received(events=events)


def _many(events: tuple[InboundEvent, ...]) -> Received | None:
    """What is kept of too many events; None where there are not."""
    reason = f"more than {EVENTS_LIMIT} items in one body" if len(events) > EVENTS_LIMIT else None
    events = events[:EVENTS_LIMIT]
    understood = tuple(event for event in events if event.kind is not EventKind.UNKNOWN or event.identities)
    odd = len(events) - len(understood)
    if odd > UNKNOWN_LIMIT:
        return Received(events=understood, reason=reason or f"{odd} items are not understood")
    return Received(events=events, reason=reason) if reason is not None else None


def _events(body: Fields, platform: str, entry: Reader, bare: Reader) -> Iterator[InboundEvent]:
    named = word_of(body, "object")
    if named not in (platform, None):
        yield unknown(named or "", body, f"object {named}")
    elif "entry" in body:
        for item in objects(body, "entry", "entry"):
            if isinstance(item, InboundEvent):
                yield item
            else:
                yield from entry(item)
    else:
        yield from bare(body)


def objects(fields: Fields, name: str, what: str, account: str | None = None) -> Iterator[Fields | InboundEvent]:
    """Yield the events of the JSON objects under a name; all other items there become one unknown event at the end."""
    others: list[object] = []
    for item in items(fields, name):
        found = as_fields(item)
        if found is None:
            others.append(item)
        else:
            yield found
    if others:
        yield unknown(what, (len(others), others[:_SEEN]), f"{len(others)} in {name} that are not objects", account)


def unknown(content_type: str, seen: object, reason: str, account: str | None = None) -> InboundEvent:
    """An event for something that is stored but not understood."""
    return InboundEvent(
        kind=EventKind.UNKNOWN,
        event_key=f"unknown:{digest(account, content_type, seen)}",
        account_external_id=account,
        content_type=clean(content_type, 64),
        supported=False,
        reason=clean(reason, 256),
    )


def is_command(text: str | None) -> bool:
    """Whether a text has the form of a command, which is answered without waiting for more messages."""
    said = (text or "").strip()
    return said.startswith("/") and len(said) <= _COMMAND_LIMIT
