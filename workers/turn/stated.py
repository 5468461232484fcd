"""What the messages of a turn state about their writer, extracted once: the prompt tells it beside them, and the result stores it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from bots.domain import Fact
from bots.extract.edits import own_words, stated
from bots.extract.proposed import covers
from bots.kinds import kinds
from bots.storage.claims import ClaimedMessage, KnownFact
from bots.storage.remembering import Written
from bots.storage.turns import NewEnd, NewFact


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """Facts to remember, and what is no longer so."""

    facts: Sequence[NewFact] = ()
    ends: Sequence[NewEnd] = ()

    def still_true(self, memories: Sequence[KnownFact]) -> list[KnownFact]:
        """Those memories that the messages neither replace nor end. Storing them ends others, too; those are told until then."""
        known = kinds()
        replaced = {fact.kind for fact in self.facts if fact.kind in known and known[fact.kind].single}
        return [one for one in memories if one.kind not in replaced and not any(_ends(end, one) for end in self.ends)]


def read(said: Iterable[tuple[ClaimedMessage, str]], *, now: datetime) -> Stated:
    """Extract what messages state, each with those of its words that count.

    now: in the contact's time zone, which says which day "tomorrow" is.
    """
    facts, ends = list[NewFact](), list[NewEnd]()
    for message, words in said:
        if message.is_forwarded:
            # Whoever wrote it speaks of themself.
            continue
        # In UTC, since clocks may have been changed in between.
        at = (now.astimezone(UTC) - timedelta(seconds=message.age_s)).astimezone(now.tzinfo)
        found = stated(words, str(message.id), at=at)
        facts += [
            NewFact(
                kind=fact.kind,
                text=fact.value,
                source=message.id,
                topic=fact.topic,
                day=fact.day,
                last_day=fact.last_day,
                since=fact.since,
            )
            for fact in found.facts
        ]
        ends += [NewEnd.said(end, message.id) for end in found.ends]
    return Stated(facts=facts, ends=ends)


def ends_of_later(written: Iterable[Written], facts: Sequence[NewFact], *, zone: tzinfo | None) -> list[NewEnd]:
    """What messages that were said after these facts, and read before them, end of them."""
    return [
        NewEnd.said(end, one.id)
        for one in written
        for end in stated(own_words(one.text), str(one.id), at=one.at.astimezone(zone)).ends
        if any(covers(end, Fact(kind=fact.kind, value=fact.text)) for fact in facts)
    ]


def _ends(end: NewEnd, one: KnownFact) -> bool:
    """Whether an end is about this memory: of its kind, with all its words, whatever their case."""
    if end.kind != one.kind:
        return False
    said = one.text.casefold()
    return end.text is None or (
        all(word in said.split() for word in end.text.casefold().split()) and not any(longer in said for longer in end.but)
    )
