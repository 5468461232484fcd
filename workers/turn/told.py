"""What is remembered of a person, as an earlier exchange in their language: they ask who the assistant is and what it knows, and it tells them.

A small model takes over from its own words who "you" is, and the language (docs/decisions/0035). Each value is a JSON string, which cannot close its quotes.
The words are data in languages/*.toml.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Sequence
from datetime import UTC, date, tzinfo
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias
from uuid import UUID

from bots.extract.texts import of_family
from bots.kinds import kinds
from bots.storage.claims import KnownFact
from bots.storage.turns import NewFact
from inference.prompt_style import neutralise
from inference.types import Message
from workers.turn.clock import day_text

#: A fact as a claim has it, or as it was just found in a message.
Fact: TypeAlias = KnownFact | NewFact

_USUAL = "en"
#: So many facts are also told in answer to a question of their own: it shows who "I" and "you" are, and costs some twenty tokens each.
_SHOWN = 2
#: So many tokens of facts are told; a profile of all kinds has some 300. Of what is sensitive more: an answer without it may hurt somebody.
_MOST_TOKENS, _MOST_SENSITIVE_TOKENS = 800, 1600
#: What JSON leaves as it is, and a model may take for the end of a line.
_LINES = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}
#: These are told in any case: an answer without them may be rude.
_NEVER_LEFT_OUT = frozenset({"name", "addressing", "language"})
#: Of these it matters when they were said: they may have changed since.
_CHANGING = frozenset({"medication", "condition", "schedule", "plan"})


def exchange(memories: Sequence[KnownFact], notes: str | None, *, language: str, zone: tzinfo = UTC) -> tuple[Message, ...]:
    """The questions, the first behind the notes, and the answers with the facts, which begin a prompt; nothing where nothing is known."""
    if not memories and not notes:
        return ()
    words = _words(language)
    asked = [words["notes"].replace("{}", quoted(notes))] if notes else []
    told = [words["lead"], *(sentence(one, language=language, zone=zone) for one in memories)] if memories else []
    said = [("\n".join([*asked, words["ask"]]), " ".join([words["who"], *told, words["end"]]))]
    return _messages([*said, *_shown(memories, language=language, zone=zone)])


def again(facts: Sequence[Fact], *, language: str, zone: tzinfo = UTC) -> tuple[Message, ...]:
    """The same for facts that are told right before a new message; nothing where there are none."""
    if not facts:
        return ()
    words = _words(language)
    told = " ".join([words["lead"], *(sentence(one, language=language, zone=zone) for one in facts)])
    return _messages([(words["again"], told), *_shown(facts, language=language, zone=zone)])


def profile(memories: Sequence[KnownFact], *, count: Callable[[str], int], most: int = _MOST_TOKENS) -> Sequence[KnownFact]:
    """The memories that begin every prompt of a session, in the order of the kinds. Where they are too many the oldest are left out."""
    known = kinds()
    places = {name: place for place, name in enumerate(known)}
    ordered = sorted(
        (one for one in memories if one.kind in known and known[one.kind].told == "always"), key=lambda one: (one.said_at, one.id)
    )
    ordered.sort(key=lambda one: places[one.kind])
    if sum(len(fact_line(one.kind, one.text).encode()) for one in ordered) > most:
        kept, spent = set[UUID](), 0
        newest = sorted(ordered, key=lambda one: one.said_at, reverse=True)
        # What is told in any case, then what is sensitive, then the rest.
        ranked = sorted(newest, key=lambda one: (one.kind not in _NEVER_LEFT_OUT, not known[one.kind].sensitive))
        for one in ranked:
            room = max(most, _MOST_SENSITIVE_TOKENS) if known[one.kind].sensitive else most
            spent += count(fact_line(one.kind, one.text))
            if one.kind in _NEVER_LEFT_OUT or spent <= room:
                kept.add(one.id)
        ordered = [one for one in ordered if one.id in kept]
    return ordered


def sentence(one: Fact, *, language: str, zone: tzinfo) -> str:
    """Tell a fact to its person in one sentence, with its day, or the day on which it was said where that matters."""
    said_on = one.said_at.astimezone(zone).date() if isinstance(one, KnownFact) and one.kind in _CHANGING and one.day is None else None
    return fact_line(one.kind, one.text, language=language, day=one.day, last_day=one.last_day, said_on=said_on) + "."


def fact_line(
    kind: str, text: str, *, language: str = _USUAL, day: date | None = None, last_day: date | None = None, said_on: date | None = None
) -> str:
    """Tell a fact to its person in one clause."""
    words = _words(language)
    kind, text = of_family(kind, text, language)
    if kind == "plan" and day is not None:
        line = str(words["plan_between" if last_day and last_day > day else "plan_on"])
        line = line.replace("{day}", day_text(day, language=language)).replace("{last}", day_text(last_day or day, language=language))
    else:
        line = str(words["facts"].get(kind, words["other"].replace("{kind}", kind)))
    if said_on is not None:
        line = str(words["said"]).replace("{day}", day_text(said_on, language=language)).replace("{fact}", line)
    # The value last: nothing in it is taken for a place to fill.
    return line.replace("{}", quoted(text))


def _shown(facts: Sequence[Fact], *, language: str, zone: tzinfo) -> list[tuple[str, str]]:
    """Some facts, each in answer to its own question: what could hurt somebody before the others."""
    questions, known = _words(language)["questions"], kinds()
    shown = sorted(
        (one for one in facts if one.kind in questions and of_family(one.kind, one.text)[0] == one.kind),
        key=lambda one: not known[one.kind].sensitive,
    )[:_SHOWN]
    return [(questions[one.kind], sentence(one, language=language, zone=zone)) for one in shown]


def _messages(said: Sequence[tuple[str, str]]) -> tuple[Message, ...]:
    return tuple(message for ask, tell in said for message in (Message(role="user", content=ask), Message(role="assistant", content=tell)))


def asked_by(kind: str, *, language: str) -> str:
    """The words by which a person asks for what is known of this kind; empty for an unknown kind."""
    return str(_words(language)["asked"].get(kind, ""))


def word(name: str, *, language: str) -> str:
    """One of the fixed texts of a language, by its name in languages/en.toml."""
    return str(_words(language)[name])


def quoted(text: str) -> str:
    """A text as data: a JSON string on one line, without template tokens."""
    return json.dumps(neutralise(text), ensure_ascii=False).translate(_LINES)


def _words(language: str) -> dict[str, Any]:
    return _texts().get(language) or _texts()[_USUAL]


@cache
def _texts() -> dict[str, dict[str, Any]]:
    return {file.stem: tomllib.loads(file.read_text("utf-8")) for file in Path(__file__).with_name("languages").glob("*.toml")}
