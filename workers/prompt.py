"""The prompt, laid out for the prefix cache: persona, memory as an earlier exchange, history append-only, the new turn (design, decision 5)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bots.extract import fact_line
from bots.storage.claims import KnownFact, PastTurn
from inference.prompt_style import neutralise
from inference.types import Image, Message
from workers.history import Notes, choose

#: A fixed line, so that the exchange is the same in every prompt.
_THANKS = "Thank you, I will use that when it helps."
#: What the messages of one turn may take of a prompt, in characters; of more the newest stay.
_LONGEST_TEXT = 8000


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A prompt, and from which turn on its history tells."""

    messages: tuple[Message, ...]
    #: What the contact says in it, as later prompts tell it again.
    asked: str
    #: Set when older turns were dropped: the new beginning.
    history_from: int | None = None
    #: Set when the turns up to this one want to be summarised.
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
) -> Prompt:
    """Lay out a prompt whose history fits the budget, in tokens.

    notes stand for turns that are no longer told; images are those of the new turn, past_images those of earlier turns by number; the texts have a mark for each (workers/pictures.py).
    """
    told = choose(history, notes, budget=budget, count=count)
    messages: list[Message] = []
    if persona.strip():
        messages.append(Message(role="system", content=persona.strip()))
    before = _before(memories, told.notes)
    if before:
        messages.append(Message(role="user", content=before))
        messages.append(Message(role="assistant", content=_THANKS))
    for past in told.turns:
        messages.append(Message(role="user", content=past.asked, images=tuple((past_images or {}).get(past.number, ()))))
        messages.append(Message(role="assistant", content=past.answer))
    asked = _joined(texts)
    messages.append(Message(role="user", content=asked, images=tuple(images)))
    return Prompt(messages=tuple(messages), asked=asked, history_from=told.history_from, summarise_to=told.summarise_to)


def _before(memories: Sequence[KnownFact], notes: str | None) -> str:
    """What the contact is taken to have said before: facts about them, and what was spoken about. Each is data in a JSON string."""
    lines: list[str] = []
    if memories:
        facts = "; ".join(neutralise(fact_line(memory.kind, memory.text)) for memory in memories)
        lines.append(f"(what I told you before: {facts})")
    if notes:
        lines.append(f"(what we spoke about before: {json.dumps(neutralise(notes), ensure_ascii=False)})")
    return "\n".join(lines)


def _joined(texts: Sequence[str]) -> str:
    kept: list[str] = []
    room = _LONGEST_TEXT
    for text in reversed(texts):
        if room <= 0:
            break
        kept.append(text[:room])
        room -= len(text)
    return neutralise("\n".join(reversed(kept))) or "..."
