"""What the webhooks of all Meta channels have in common: one JSON object whose `object` names the platform, with entries in it.

Total: any bytes give a Received. What is not understood becomes an event of kind unknown, and the other items are read all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain, islice
from typing import cast

from bots.channels.fields import OPENINGS_LIMIT, Fields, NotJson, TooMuch, as_fields, clean, decode, digest, items, word_of
from bots.domain import EventKind, InboundEvent, Received

#: The platforms send at most 1,000 updates in a body; beyond this the body waits for an operator.
EVENTS_LIMIT = 5_000
#: More items than these that are not understood are not stored one by one: their body waits for an operator.
UNKNOWN_LIMIT = 100
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


def _events(body: Fields, platform: str, entry: Reader, bare: Reader) -> Iterable[InboundEvent]:
    named = word_of(body, "object")
    if named not in (platform, None):
        return (unknown(named or "", body, f"object {named}"),)
    return each(objects(body, "entry", "entry"), entry) if "entry" in body else bare(body)


def each(found: Sequence[Fields | InboundEvent], read: Reader) -> Iterable[InboundEvent]:
    """Return what a reader finds in each object, one after the other and only as far as it is asked for; events are passed on."""
    if len(found) == 1 and isinstance(found[0], dict):
        # Nearly always.
        return read(found[0])
    return chain.from_iterable(read(item) if isinstance(item, dict) else (item,) for item in found)


def objects(fields: Fields, name: str, what: str, account: str | None = None) -> Sequence[Fields | InboundEvent]:
    """Return the JSON objects under a name; all other items there become one unknown event at the end."""
    every = items(fields, name)
    if len(every) == 1 and isinstance(every[0], dict):
        # Nearly always.
        return cast("list[Fields | InboundEvent]", every)
    found: list[Fields | InboundEvent] = [item for item in every if isinstance(item, dict)]
    if len(found) < len(every):
        others = [item for item in every if not isinstance(item, dict)]
        found.append(unknown(what, (len(others), others[:_SEEN]), f"{len(others)} in {name} that are not objects", account))
    return found


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
