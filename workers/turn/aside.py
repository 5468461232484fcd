"""What is told beside a new message, in front of it, for this one prompt: facts that its beginning does not have, and earlier turns that it is about.

Data, never orders: each value is a JSON string, which cannot close its quotes, and line breaks cannot open a new line. Later prompts repeat the
message without it, so it is told only where it is needed (docs/decisions/0039).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Protocol, TypeAlias
from uuid import UUID

from bots.storage.claims import KnownFact
from bots.storage.turns import NewFact
from workers.long_text import without_middle
from workers.turn import told
from workers.turn.clock import day_text

#: Of an earlier turn so many characters of each side are told; of all together so many tokens.
_LONGEST, _MOST_TOKENS = 300, 700


#: A fact as a claim has it, or as it was just found in a message.
Fact: TypeAlias = KnownFact | NewFact


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
    """What is told beside a message."""

    facts: Sequence[Fact] = ()
    #: The best first.
    recalled: Sequence[Earlier] = ()


def fitting(
    recalled: Sequence[Earlier], *, language: str, zone: tzinfo, count: Callable[[str], int], most: int = _MOST_TOKENS
) -> Sequence[Earlier]:
    """The best of the earlier turns, as many as there is room for."""
    kept: list[Earlier] = []
    for one in recalled:
        most -= count(_line(one, language=language, zone=zone))
        if most < 0:
            break
        kept.append(one)
    return kept


def text(aside: Aside, *, language: str, zone: tzinfo = UTC) -> str:
    """The lines to put in front of a message; empty where nothing is to be told."""
    lines: list[str] = []
    if aside.recalled:
        earlier = "; ".join(_line(one, language=language, zone=zone) for one in sorted(aside.recalled, key=lambda one: one.said_at))
        lines.append(told.word("earlier", language=language).replace("{}", earlier))
    if aside.facts:
        facts = ". ".join(told.fact_line(one.kind, one.text, language=language, day=one.day, last_day=one.last_day) for one in aside.facts)
        lines.append(told.word("beside", language=language).replace("{}", facts))
    return "\n".join(lines)


def _line(one: Earlier, *, language: str, zone: tzinfo) -> str:
    """An earlier turn: when it was, what the person wrote, and what was answered."""
    day = day_text(one.said_at.astimezone(zone).date(), language=language)
    parts = [told.word("wrote", language=language).replace("{day}", day).replace("{}", _quoted(one.asked))]
    if one.answer:
        parts.append(told.word("answered", language=language).replace("{}", _quoted(one.answer)))
    return ", ".join(parts)


def _quoted(said: str) -> str:
    return told.quoted(without_middle(said, _LONGEST))
