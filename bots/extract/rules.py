"""What the rules of a language file say: a fact, an end or both, and how their values are bounded and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bots.extract.files import named
from bots.extract.patterns import Phrases
from bots.extract.scissors import Scissors
from bots.extract.words import fold

#: What somebody is called may be so many capitals.
_INITIALS = 2
_SHAPE_KEYS = frozenset(
    {
        "shape",
        "max",
        "min",
        "cuts",
        "never",
        "not_before",
        "but",
        "not_ends",
        "list",
        "commas",
        "proper",
        "uncut",
        "loose",
        "initials",
        "unknown",
        "surname",
    }
)
_RULE_KEYS = frozenset(
    {
        "kind",
        "value",
        "as",
        "topic",
        "ends",
        "ends_as",
        "patterns",
        "anywhere",
        "asked",
        "day",
        "lasting",
        "behind",
        "beside",
        "firm",
        "alone",
        "weak",
        "every",
        "refers",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How the values of some rules are bounded and checked: a table [values.X] of a language file."""

    name: str
    shape: str
    most: int
    cuts: Phrases
    never: Phrases
    #: What shows, behind a value or its negation, that it is no such value: a verb that has it as its object.
    not_before: Phrases
    not_ends: tuple[str, ...]
    #: Words that may have such an ending all the same.
    but: Phrases
    holds: Phrases | None
    #: Whether a list of things needs no "and" before the last one.
    commas: bool
    #: Whether a place must be written with a capital; whether words that cut other values may stand in this one.
    proper: bool
    uncut: bool
    #: Listed: whether other words may follow those of the list.
    loose: bool
    least: int
    #: Proper: with how many letters it may be initials, as "JB".
    initials: int
    #: Proper, place: whether a word that the language does not know may be a name though it is written small, at all or only behind a first name or a title.
    unknown: bool
    surname: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rule:
    """What a pattern says: a fact, an end, or both."""

    number: int
    kind: str | None
    shape: Shape | None
    written_as: str
    topic: str | None
    ends: tuple[str, ...]
    #: What is ended, in one or several wordings, if it is not the value.
    ends_as: tuple[str, ...]
    anywhere: bool
    asked: bool
    day: bool
    #: Only with words such as "these days".
    lasting: bool
    #: Only directly behind a fact of such a kind.
    behind: tuple[str, ...]
    #: Holds whatever else is stated there; and is not replaced by what the same message says later.
    beside: bool
    firm: bool
    #: Nothing may follow that changes the meaning: "a dog", not "a dog phobia".
    alone: bool
    #: Falls away where the same message states another fact of its kind.
    weak: bool
    #: What it ends are all that fit, not the only one.
    every: bool
    #: Says more of the being that the message spoke of before, which is <before> in its value: "his name is Theo".
    refers: bool


def shape(name: str, entry: Mapping[str, Any], lists: Mapping[str, Phrases], scissors: Scissors, table: Mapping[str, Any]) -> Shape:
    """Read a table [values.X]."""
    unknown = set(entry) - _SHAPE_KEYS
    if unknown:
        raise ValueError(f"values.{name} has {unknown}")
    phrases = {key: Phrases(named(entry.get(key, ()), table), scissors.folded) for key in ("cuts", "never", "not_before", "but")}
    return Shape(
        name=name,
        shape=entry["shape"],
        most=entry.get("max", 6),
        **phrases,
        not_ends=tuple(fold(ending).lstrip("-") for ending in named(entry.get("not_ends", ()), table)),
        holds=_holds(entry, lists, scissors, table) if "list" in entry else None,
        commas=entry.get("commas", False),
        proper=entry.get("proper", False),
        uncut=entry.get("uncut", False),
        loose=entry.get("loose", False),
        least=entry.get("min", 1),
        initials=entry.get("initials", 0),
        unknown=entry.get("unknown", False),
        surname=entry.get("surname", False),
    )


def _holds(entry: Mapping[str, Any], lists: Mapping[str, Phrases], scissors: Scissors, table: Mapping[str, Any]) -> Phrases:
    """The words of a value's list. Of a value an article is cut, so an entry "a stoma" is one without it, too."""
    if entry["shape"] != "listed":
        return lists[entry["list"]]
    entries = list(named(table[entry["list"]], table))
    articles = [f"{article} " for article in table.get("articles", ())]
    return Phrases(
        [*entries, *(one[len(article) :] for article in articles for one in entries if one.startswith(article))], scissors.folded
    )


def rule(code: str, number: int, entry: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Rule:
    """Read a [[rule]]."""
    unknown = set(entry) - _RULE_KEYS
    if unknown or not ("kind" in entry or "ends" in entry):
        raise ValueError(f"{code}: rule {number + 1} has {unknown or 'neither kind nor ends'}")
    bounds = shapes[entry["value"]] if "value" in entry else None
    if bounds is not None and entry.get("kind") == "name":
        bounds = replace(bounds, initials=max(bounds.initials, _INITIALS))
    return Rule(
        number=number,
        kind=entry.get("kind"),
        shape=bounds,
        written_as=entry.get("as", "{}"),
        topic=entry.get("topic"),
        ends=_tuple(entry.get("ends", ())),
        ends_as=tuple(way for way in entry.get("ends_as", "").split("|") if way),
        anywhere=entry.get("anywhere", False),
        asked=entry.get("asked", False),
        day=entry.get("day", False),
        lasting=entry.get("lasting", False),
        behind=_tuple(entry.get("behind", ())),
        beside=entry.get("beside", False),
        firm=entry.get("firm", False),
        alone=entry.get("alone", False),
        weak=entry.get("weak", False),
        every=entry.get("every", False),
        refers=entry.get("refers", False),
    )


def _tuple(entry: str | Sequence[str]) -> tuple[str, ...]:
    return (entry,) if isinstance(entry, str) else tuple(entry)
