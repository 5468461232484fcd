"""Words of relations and animals: which longer ones with the same words in them are somebody else, as a mother-in-law is no mother."""

from __future__ import annotations

import re
from functools import cache

from bots.extract import files
from bots.extract.words import fold

#: The kinds whose facts are one being each, or several that are counted.
KINDS = frozenset({"family", "pet"})
_SLOT = re.compile(r"<(\w*?)\d*>")
_BETWEEN = re.compile(r"[\s-]+")


@cache
def others(code: str, kind: str, text: str) -> tuple[str, ...]:
    """The relations or animals that a language's rules may store and that hold these words, but mean something else. A little sister is a sister."""
    own, beside = _words(text), _beside(code)
    return tuple(
        name
        for name in _names(code, kind)
        if (rest := _without(_words(name), own)) is not None and rest and not all(word in beside for word in rest)
    )


@cache
def _names(code: str, kind: str) -> tuple[str, ...]:
    """All that rules of a kind may store in place of a list's word."""
    table = files.tables()[code]
    lists = {name for rule in table["rule"] if rule.get("kind") == kind for name in _SLOT.findall(rule.get("as", ""))}
    entries = (entry.partition(">") for name in sorted(lists) for entry in files.named(table.get(name, ()), table))
    return tuple(dict.fromkeys(fold(stands_for or written) for written, _, stands_for in entries if not written.startswith("-")))


@cache
def _beside(code: str) -> frozenset[str]:
    """Words that may stand beside a relation and leave it what it is: little, older."""
    return frozenset(word for entry in files.tables()[code].get("beside_relations", ()) for word in _words(entry))


def _without(words: tuple[str, ...], part: tuple[str, ...]) -> tuple[str, ...] | None:
    """The words without a part of them; None where that is none."""
    for at in range(len(words) - len(part) + 1):
        if words[at : at + len(part)] == part:
            return (*words[:at], *words[at + len(part) :])
    return None


def _words(text: str) -> tuple[str, ...]:
    return tuple(_BETWEEN.split(fold(text).strip()))
