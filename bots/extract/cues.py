"""The words by which a language's rules know what kind of thing is said, gathered from its file."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from bots.extract.files import tables
from bots.extract.patterns import fold_pattern
from bots.extract.words import fold
from bots.kinds import kinds

_WORD = re.compile(r"(?:<[^>]*>|\{[^}]*\})|([^\s()\[\]|{}<>,.]+)")
_LIST = re.compile(r"<([a-z_]+)\d*>")
#: The lists in which language files have them.
_RELATIVES = ("family", "families", "relation", "relations", "close", "parent")
#: A word in the rules of more kinds says nothing about the kind: "have", "my".
_FEW_KINDS = 4


@cache
def cues(code: str) -> Mapping[str, frozenset[str]]:
    """By kind: the words that its rules and their lists have, and those of hardly another kind."""
    table = tables()[code]
    known: dict[str, set[str]] = {name: set() for name in kinds()}
    for rule in table.get("rule", ()):
        ends = rule.get("ends", ())
        for kind in {rule.get("kind"), *((ends,) if isinstance(ends, str) else ends)} & known.keys():
            known[kind].update(_words(rule, table))
    shared = Counter(word for words in known.values() for word in words)
    common = {fold(word) for word in table.get("common", ())}
    return {kind: frozenset(word for word in words if shared[word] <= _FEW_KINDS and word not in common) for kind, words in known.items()}


@cache
def members(code: str) -> Mapping[str, frozenset[str]]:
    """By kind: the words of the lists that its values are from, such as trades and illnesses, or that are part of them, such as animals."""
    table = tables()[code]
    known: dict[str, set[str]] = {name: set() for name in kinds()}
    for rule in table.get("rule", ()):
        if rule.get("kind") in known:
            names = {*_LIST.findall(rule.get("as", "")), table["values"][rule["value"]].get("list", "") if "value" in rule else ""}
            known[rule["kind"]].update(word for entry in _entries(names, table) for word in _parts(entry.partition(">")[0]))
    return {kind: frozenset(words) for kind, words in known.items()}


@cache
def relatives(code: str) -> frozenset[str]:
    """The words for people who are close to the writer."""
    table = tables()[code]
    return frozenset(
        word
        for entry in _entries(_RELATIVES, table)
        for word in fold_pattern(entry.partition(">")[0].lstrip("=").strip())
        if " " not in entry
    )


def _words(rule: Mapping[str, Any], table: Mapping[str, Any]) -> Iterator[str]:
    """The words of a rule's patterns, of the lists that they name, and of the list that its values are from."""
    names = {name for pattern in rule["patterns"] for name in _LIST.findall(pattern)}
    if "value" in rule:
        names.add(table["values"][rule["value"]].get("list", ""))
    for phrase in (*rule["patterns"], *_entries(names, table)):
        yield from _parts(phrase.partition(">")[0] if "<" not in phrase else phrase)


def _parts(phrase: str) -> Iterator[str]:
    for word in _WORD.findall(phrase):
        if word and not word.startswith("-"):
            yield from fold_pattern(word.lstrip("="))


def is_relative(word: str) -> bool:
    """Whether a word names somebody close, in any language."""
    return fold(word) in _all_relatives()


@cache
def _all_relatives() -> frozenset[str]:
    # As they are said, "oğlum", and as they are stored, "oğul".
    stored = (entry.partition(">")[2] for table in tables().values() for entry in _entries(_RELATIVES, table))
    return frozenset(
        {*(name for code in tables() for name in relatives(code)), *(fold(name) for name in stored if name and " " not in name)}
    )


def _entries(names: Iterable[str], table: Mapping[str, Any]) -> Iterator[str]:
    for name in names:
        for entry in table.get(name, ()):
            if isinstance(entry, str):
                yield from _entries((entry[1:-1],), table) if entry.startswith("<") else (entry,)
