"""What an edited message says: the facts in its new words, and whether they are a command, a wish to stop, or one not to be remembered.

A message that is waiting is read when its turn is worked. One that was answered already is not worked again, so its new words are read as they come
in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import structlog

from bots.commands import keeps_out, objection, parse_command
from bots.domain import EventKind, InboundEvent, Statements
from bots.extract import extract
from bots.time_zones import zone_of

log = structlog.get_logger()

#: Platforms take no longer edits; more text than a person types is not worth the time of a webhook.
_LONGEST = 8_000


def read_edits(events: Iterable[InboundEvent], *zones: str | None) -> list[InboundEvent]:
    """Return the events, edits with what their words state; the storage uses it for messages that are not waiting.

    Of a group's messages nothing is remembered. zones: those that count for contacts whose number tells none, the first that is one.
    """
    return [_read(event, zones) if event.kind is EventKind.EDIT and event.text and event.addressed is None else event for event in events]


def _read(event: InboundEvent, zones: Sequence[str | None]) -> InboundEvent:
    text = event.text or ""
    command = parse_command(text)
    if command is not None:
        return replace(event, untold=True, stops=command.name == "stop", unsaid=command.name == "forget_that")
    if keeps_out(text):
        return replace(event, unsaid=True)
    # "Tomorrow" is counted from the day where its writer is.
    at = (event.occurred_at or datetime.now(UTC)).astimezone(zone_of(event.identities, *zones))
    said = stated(_right(text)[:_LONGEST], event.event_key, at=at)
    return replace(event, facts=said.facts, ends=said.ends)


def own_words(text: str) -> str:
    """The words of a message that may state facts: none of a command, the right ones of a correction."""
    if parse_command(text) is not None or keeps_out(text):
        return ""
    return _right(text).strip()


def _right(text: str) -> str:
    """The text, but of a correction only the words that are right."""
    corrected = objection(text)
    return corrected[0] if corrected else text


def stated(text: str, source: str, *, at: datetime | None) -> Statements:
    """Extract what a message states; nothing where that fails, since a message must be stored and answered all the same. source names it in the log."""
    try:
        return extract(text, today=(at or datetime.now(UTC)).date())
    except Exception as error:  # noqa: BLE001 - extracting memories must never prevent an answer
        log.error("extract_failed", message=source, error=type(error).__name__)  # noqa: TRY400 - a traceback would show the text
        return Statements()
