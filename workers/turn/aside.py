"""What is told right before a new message, for this one prompt: facts that its beginning does not have, and earlier turns that the message is about.

The person asks for it and the assistant tells it, as at the beginning (workers/turn/told.py); each value is a JSON string, which cannot close its
quotes. Later prompts repeat the message without all this, so it is told only where it is needed (docs/decisions/0039).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Protocol
from uuid import UUID

from inference.estimate import estimate
from inference.types import Message
from workers.long_text import without_middle
from workers.turn import told
from workers.turn.clock import day_text
from workers.turn.told import Fact

#: Of an earlier turn so many characters of each side are told; of all together so many tokens.
_LONGEST, _MOST_TOKENS = 300, 700


class Earlier(Protocol):
    """An earlier turn that was recalled."""

    @property
    def turn(self) -> UUID:
        """Its id."""
        ...

    @property
    def said_at(self) -> datetime:
        """When it was."""
        ...

    @property
    def asked(self) -> str:
        """What the person wrote."""
        ...

    @property
    def answer(self) -> str:
        """What was answered."""
        ...

    @property
    def signals(self) -> Sequence[str]:
        """What found it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Aside:
    """What is told right before a message."""

    facts: Sequence[Fact] = ()
    #: The best first.
    recalled: Sequence[Earlier] = ()


def fitting(
    recalled: Sequence[Earlier], *, language: str, zone: tzinfo, count: Callable[[str], int], most: int = _MOST_TOKENS
) -> Sequence[Earlier]:
    """The best of the earlier turns, as many as there is room for."""
    lines = [_line(one, language=language, zone=zone) for one in recalled]
    if sum(map(estimate, lines)) <= most:
        # The estimate is rarely below the true count; each count is a request to the engine, which the person would wait for.
        return recalled
    kept: list[Earlier] = []
    for one, line in zip(recalled, lines, strict=True):
        most -= count(line)
        if most < 0:
            break
        kept.append(one)
    return kept


def exchange(aside: Aside, *, language: str, zone: tzinfo = UTC) -> tuple[Message, ...]:
    """The questions and answers; nothing where nothing is to be told."""
    return (*_earlier(aside.recalled, language=language, zone=zone), *told.again(aside.facts, language=language, zone=zone))


def _earlier(recalled: Sequence[Earlier], *, language: str, zone: tzinfo) -> tuple[Message, ...]:
    if not recalled:
        return ()
    lines = [_line(one, language=language, zone=zone) + "." for one in sorted(recalled, key=lambda one: one.said_at)]
    return (
        Message(role="user", content=told.word("earlier", language=language)),
        Message(role="assistant", content=" ".join(lines)),
    )


def _line(one: Earlier, *, language: str, zone: tzinfo) -> str:
    """An earlier turn: when it was, what the person wrote, and what was answered."""
    day = day_text(one.said_at.astimezone(zone).date(), language=language)
    parts = [told.word("wrote", language=language).replace("{day}", day).replace("{}", _quoted(one.asked))]
    if one.answer:
        parts.append(told.word("answered", language=language).replace("{}", _quoted(one.answer)))
    return ", ".join(parts)


def _quoted(said: str) -> str:
    return told.quoted(without_middle(said, _LONGEST))
