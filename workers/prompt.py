"""The prompt, laid out for the prefix cache: persona, memory as an earlier exchange, history append-only, the new turn (design, decision 5)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bots.extract import fact_line
from bots.storage.claims import KnownFact, PastTurn
from inference.prompt_style import neutralise
from inference.types import Message

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


def build(
    *,
    persona: str,
    memories: Sequence[KnownFact],
    history: Sequence[PastTurn],
    texts: Sequence[str],
    budget: int,
    count: Callable[[str], int],
) -> Prompt:
    """Lay out a prompt whose history fits the budget, in tokens."""
    kept, history_from = _within(history, budget, count)
    messages: list[Message] = []
    if persona.strip():
        messages.append(Message(role="system", content=persona.strip()))
    if memories:
        # A memory is data: fact_line puts each value into a JSON string, which cannot close the block.
        facts = "; ".join(neutralise(fact_line(memory.kind, memory.text)) for memory in memories)
        messages.append(Message(role="user", content=f"(what I told you before: {facts})"))
        messages.append(Message(role="assistant", content=_THANKS))
    for past in kept:
        messages.append(Message(role="user", content=past.asked))
        messages.append(Message(role="assistant", content=past.answer))
    asked = _joined(texts)
    messages.append(Message(role="user", content=asked))
    return Prompt(messages=tuple(messages), asked=asked, history_from=history_from)


def _within(history: Sequence[PastTurn], budget: int, count: Callable[[str], int]) -> tuple[Sequence[PastTurn], int | None]:
    # A token is at least one byte: most histories need no counting.
    if sum(len(text.encode()) for past in history for text in (past.asked, past.answer)) <= budget:
        return history, None
    sizes = [count(past.asked) + count(past.answer) for past in history]
    if sum(sizes) <= budget:
        return history, None
    # Dropped in a large step, to half of the budget: each drop costs the prefix cache.
    start, left = 0, sum(sizes)
    # The last turn stays whatever its size: without it an answer to "and then?" makes no sense.
    while start < len(history) - 1 and left > budget // 2:
        left -= sizes[start]
        start += 1
    return history[start:], history[start].number


def _joined(texts: Sequence[str]) -> str:
    kept: list[str] = []
    room = _LONGEST_TEXT
    for text in reversed(texts):
        if room <= 0:
            break
        kept.append(text[:room])
        room -= len(text)
    return neutralise("\n".join(reversed(kept))) or "..."
