"""What an account does with messages of groups: by default nothing, else it answers those in which it is spoken to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bots.domain import EventKind, InboundEvent

#: Without the setting, and without a word to the bot.
_NOT_ANSWERED, _NOT_ADDRESSED = "a group's message is not answered", "not addressed to the bot"


def settled(events: Sequence[InboundEvent], *, answers: bool) -> Sequence[InboundEvent]:
    """Return events as an account takes them that answers in groups, or does not. Then of a group's messages no words are stored, and no conversation."""
    if all(event.addressed is None for event in events):
        return events
    return [event if event.addressed is None else _of_group(event, answers=answers) for event in events]


def _of_group(event: InboundEvent, *, answers: bool) -> InboundEvent:
    if not answers:
        kind = EventKind.UNKNOWN if event.kind is EventKind.MESSAGE else event.kind
        # Nobody asked for its words, and nobody there could have them forgotten.
        return replace(
            event,
            kind=kind,
            identities=(),
            text=None,
            quoted=None,
            refers=(),
            media=(),
            supported=False,
            reply_at_once=False,
            reason=_NOT_ANSWERED,
        )
    if event.kind is EventKind.MESSAGE and not event.addressed:
        return replace(event, kind=EventKind.UNKNOWN, supported=False, reply_at_once=False, media=(), reason=_NOT_ADDRESSED)
    return event
