"""The prompt, laid out for the prefix cache: persona, memory as an earlier exchange, append-only history, the new turn (docs/decisions/0035)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bots.storage.claims import KnownFact, PastTurn
from bots.text_language import language_in
from inference.prompt_style import neutralise
from inference.types import Image, Message
from workers.long_text import joined
from workers.turn import told
from workers.turn.history import Notes, choose, shortened

#: How many characters the messages of one turn may have in a prompt; where they have more, the middle of the long ones is left out.
_LONGEST_TEXT = 8000


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
) -> Prompt:
    """Lay out a prompt whose history fits the budget, in tokens.

    room returns how many tokens of text the model takes with so many tokens of pictures. When a long message or new pictures leave less room
    than usual the earlier pictures are left out, then the older turns: in this prompt alone. notes replace turns that are no longer repeated; images
    are those of the new turn, past_images those of earlier turns by number; the texts have a mark for each (workers/turn/pictures.py). Together they may
    have `longest` characters. language: in which the facts are told until a message shows another one.
    """
    persona, shown = persona.strip(), past_images or {}
    asked = neutralise(joined(texts, longest)) or "..."
    kept = choose(history, notes, budget=min(budget, _left(room(0), [persona], enough=budget, count=count)), count=count)
    new = sum(image.tokens for image in images)
    past = sum(image.tokens for turn in kept.turns for image in shown.get(turn.number, ()))
    language = _language([*(turn.asked for turn in history), asked], default=language)
    beside = [persona, *(message.content for message in told.exchange(memories, notes.text, language=language)), asked]
    size = sum(len(text.encode()) for turn in kept.turns for text in (turn.asked, turn.answer))
    if (left := _left(room(new + past), beside, enough=size, count=count)) < size:
        size = sum(count(turn.asked) + count(turn.answer) for turn in kept.turns)
    if left < size:
        kept, shown = shortened(kept, notes, room=_left(room(new), beside, enough=size, count=count), count=count), {}
    messages: list[Message] = []
    if persona:
        messages.append(Message(role="system", content=persona))
    messages.extend(told.exchange(memories, kept.notes, language=language))
    for turn in kept.turns:
        # For a turn that a person answered these are the texts as they came, and an answer may speak of template tokens.
        messages.append(Message(role="user", content=neutralise(turn.asked), images=tuple(shown.get(turn.number, ()))))
        messages.append(Message(role="assistant", content=neutralise(turn.answer)))
    messages.append(Message(role="user", content=asked, images=tuple(images)))
    return Prompt(
        messages=tuple(messages), turns=len(kept.turns), asked=asked, history_from=kept.history_from, summarise_to=kept.summarise_to
    )


def _left(room: int, texts: Sequence[str], *, enough: int, count: Callable[[str], int]) -> int:
    """How many tokens are left after these texts. Their tokens are counted only when their bytes, which are no fewer, leave too few."""
    left = room - sum(len(text.encode()) for text in texts)
    return left if left >= enough else max(0, room - sum(map(count, texts)))


def _language(said: Sequence[str], *, default: str) -> str:
    """The language of the first message that shows one: what is told before the history stays as it is while the history grows."""
    return next((language for language in map(language_in, said) if language), default)
