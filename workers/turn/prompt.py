"""The prompt, laid out for the prefix cache: persona, memory as an earlier exchange, append-only history, the new turn (docs/decisions/0035).

The day and the time are told where a talk begins or goes on after a pause; what only the new message needs is told right before it
(docs/decisions/0039).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain

from bots.storage.claims import KnownFact, PastTurn
from bots.text_language import language_in
from inference.prompt_style import neutralise
from inference.types import Image, Message
from workers.long_text import joined
from workers.turn import aside as asides
from workers.turn import told
from workers.turn.aside import Aside
from workers.turn.clock import now_texts
from workers.turn.history import Notes, choose, shortened

#: How many characters the messages of one turn may have in a prompt; where they have more, the middle of the long ones is left out.
_LONGEST_TEXT = 8000
#: The time is told again with a message that comes so much later than the last one with a time. With each message it would cost some 40 tokens;
#: with the newest alone the prefix cache would lose the turn before it, each time.
_TIME_AFTER = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A prompt, and where its history begins."""

    messages: tuple[Message, ...]
    #: How many earlier turns it repeats.
    turns: int
    #: What the contact says in the new turn, as later prompts repeat it.
    asked: str
    #: Set when older turns were dropped: the number of the first one that is repeated.
    history_from: int | None = None
    #: Set when the turns up to this one are to be summarised.
    summarise_to: int | None = None


def build(
    *,
    persona: str,
    memories: Sequence[KnownFact],
    history: Sequence[PastTurn],
    texts: Sequence[str],
    budget: int,
    count: Callable[[str], int],
    images: Sequence[Image] = (),
    past_images: Mapping[int, Sequence[Image]] | None = None,
    notes: Notes = Notes(),  # noqa: B008 - frozen
    room: Callable[[int], int] = lambda _images: sys.maxsize,
    longest: int = _LONGEST_TEXT,
    language: str = "en",
    now: datetime | None = None,
    aside: Aside = Aside(),  # noqa: B008 - frozen
    begins: int = 1,
) -> Prompt:
    """Lay out a prompt whose history fits the budget, in tokens.

    room returns how many tokens of text the model takes with so many tokens of pictures. When a long message or new pictures leave less room
    than usual the earlier pictures are left out, then the older turns: in this prompt alone. notes replace turns that are no longer repeated; images
    are those of the new turn, past_images those of earlier turns by number; the texts have a mark for each (workers/turn/pictures.py). Together they may
    have `longest` characters. language: in which the facts are told until a message shows another one. now: in the contact's time zone. begins: the
    number of the first turn that prompts repeat so far; those of the history before it are not in the notes yet.
    """
    persona, shown = persona.strip(), past_images or {}
    zone = (now and now.tzinfo) or UTC
    asked = neutralise(joined(texts, longest)) or "..."
    kept = choose(history, notes, budget=min(budget, _left(room(0), [persona], enough=budget, count=count)), count=count, begins=begins)
    new = sum(image.tokens for image in images)
    past = sum(image.tokens for turn in kept.turns for image in shown.get(turn.number, ()))
    language = language_of(history, [asked], default=language)
    before = asides.exchange(aside, language=language, zone=zone)
    most_notes = kept.notes or notes.text
    told_first = told.exchange(memories, most_notes, language=language, zone=zone)
    times = _times([*(turn.at and turn.at.astimezone(zone) for turn in kept.turns), now], language=language)
    beside = [persona, *(message.content for message in (*told_first, *chain(*times), *before)), asked]
    size = sum(len(text.encode()) for turn in kept.turns for text in (turn.asked, turn.answer))
    if (left := _left(room(new + past), beside, enough=size, count=count)) < size:
        size = sum(count(turn.asked) + count(turn.answer) for turn in kept.turns)
    if left < size:
        kept, shown = shortened(kept, notes, room=_left(room(new), beside, enough=size, count=count), count=count), {}
        times = _times([*(turn.at and turn.at.astimezone(zone) for turn in kept.turns), now], language=language)
    if kept.notes != most_notes:
        told_first = told.exchange(memories, kept.notes, language=language, zone=zone)
    messages: list[Message] = []
    if persona:
        messages.append(Message(role="system", content=persona))
    messages.extend(told_first)
    *earlier, time = times
    for turn, said_at in zip(kept.turns, earlier, strict=True):
        # For a turn that a person answered these are the texts as they came, and an answer may speak of template tokens.
        messages.extend(said_at)
        messages.append(Message(role="user", content=neutralise(turn.asked), images=tuple(shown.get(turn.number, ()))))
        messages.append(Message(role="assistant", content=neutralise(turn.answer)))
    messages.extend((*time, *before))
    messages.append(Message(role="user", content=asked, images=tuple(images)))
    return Prompt(
        messages=tuple(messages), turns=len(kept.turns), asked=asked, history_from=kept.history_from, summarise_to=kept.summarise_to
    )


def _times(times: Sequence[datetime | None], *, language: str) -> list[tuple[Message, ...]]:
    """What tells the time before each message: before the first, and before each that comes much later than the last one that has it; else nothing.

    Before earlier messages it stays as it is while the talk goes on: the same words in each prompt.
    """
    told_at, found = None, list[tuple[Message, ...]]()
    for time in times:
        if time is None or (told_at and time - told_at < _TIME_AFTER and time.date() == told_at.date()):
            found.append(())
        else:
            ask, tell = now_texts(time, language=language)
            found.append((Message(role="user", content=ask), Message(role="assistant", content=tell)))
            told_at = time
    return found


def _left(room: int, texts: Sequence[str], *, enough: int, count: Callable[[str], int]) -> int:
    """How many tokens are left after these texts. Their tokens are counted only when their bytes, which are no fewer, leave too few."""
    left = room - sum(len(text.encode()) for text in texts)
    return left if left >= enough else max(0, room - sum(map(count, texts)))


def language_of(history: Sequence[PastTurn], texts: Sequence[str], *, default: str) -> str:
    """The language of the first message that shows one: what is told before the history stays as it is while the history grows."""
    said = (*(turn.asked for turn in history), *texts)
    return next((language for language in map(language_in, said) if language), default)
