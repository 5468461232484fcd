"""The prompt, laid out for the prefix cache: persona, memory as an earlier exchange, append-only history, the new turn (docs/decisions/0008)."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bots.extract import fact_line
from bots.storage.claims import KnownFact, PastTurn
from inference.prompt_style import neutralise
from inference.types import Image, Message
from workers.long_text import joined
from workers.turn.history import Notes, choose, shortened

#: A fixed line, so that the exchange is the same in every prompt.
_THANKS = "Thank you, I will use that when it helps."
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
) -> Prompt:
    """Lay out a prompt whose history fits the budget, in tokens.

    room returns how many tokens of text the model takes with so many tokens of pictures. When a long message or new pictures leave less room
    than usual the earlier pictures are left out, then the older turns: in this prompt alone. notes replace turns that are no longer repeated; images
    are those of the new turn, past_images those of earlier turns by number; the texts have a mark for each (workers/turn/pictures.py). Together they may
    have `longest` characters.
    """
    persona, shown = persona.strip(), past_images or {}
    asked = neutralise(joined(texts, longest)) or "..."
    told = choose(history, notes, budget=min(budget, _left(room(0), [persona], enough=budget, count=count)), count=count)
    new = sum(image.tokens for image in images)
    past = sum(image.tokens for turn in told.turns for image in shown.get(turn.number, ()))
    beside = [persona, _before(memories, notes.text), asked]
    size = sum(len(text.encode()) for turn in told.turns for text in (turn.asked, turn.answer))
    if (left := _left(room(new + past), beside, enough=size, count=count)) < size:
        size = sum(count(turn.asked) + count(turn.answer) for turn in told.turns)
    if left < size:
        told, shown = shortened(told, notes, room=_left(room(new), beside, enough=size, count=count), count=count), {}
    messages: list[Message] = []
    if persona:
        messages.append(Message(role="system", content=persona))
    before = _before(memories, told.notes)
    if before:
        messages.append(Message(role="user", content=before))
        messages.append(Message(role="assistant", content=_THANKS))
    for turn in told.turns:
        # For a turn that a person answered these are the texts as they came, and an answer may speak of template tokens.
        messages.append(Message(role="user", content=neutralise(turn.asked), images=tuple(shown.get(turn.number, ()))))
        messages.append(Message(role="assistant", content=neutralise(turn.answer)))
    messages.append(Message(role="user", content=asked, images=tuple(images)))
    return Prompt(
        messages=tuple(messages), turns=len(told.turns), asked=asked, history_from=told.history_from, summarise_to=told.summarise_to
    )


def _left(room: int, texts: Sequence[str], *, enough: int, count: Callable[[str], int]) -> int:
    """How many tokens are left after these texts. Their tokens are counted only when their bytes, which are no fewer, leave too few."""
    left = room - sum(len(text.encode()) for text in texts)
    return left if left >= enough else max(0, room - sum(map(count, texts)))


def _before(memories: Sequence[KnownFact], notes: str | None) -> str:
    """What the contact appears to say first in the prompt: facts about them, and the notes. Each is data in a JSON string."""
    lines: list[str] = []
    if memories:
        facts = "; ".join(neutralise(fact_line(memory.kind, memory.text)) for memory in memories)
        lines.append(f"(what I told you before: {facts})")
    if notes:
        lines.append(f"(what we spoke about before: {json.dumps(neutralise(notes), ensure_ascii=False)})")
    return "\n".join(lines)
