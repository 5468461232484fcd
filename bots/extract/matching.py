"""Finds the patterns of rules in a sentence."""

from __future__ import annotations

from typing import NamedTuple

from bots.extract.clauses import Clauses
from bots.extract.patterns import Node, Value
from bots.extract.rules import Rule

#: No value has more words; a pattern that goes on behind its value is looked for so far.
LONGEST_VALUE = 12
_LONGEST_GAP = 3
#: What a comma in a pattern stands for: "Allergies: nuts" in a form, too.
_COMMAS = frozenset({",", ":", "-", "–", "("})
_INSIDE_VALUES = frozenset({",", "&", "-"})


#: Behind these stands what somebody has: "my dog's lead".
POSSESSIVES = frozenset({"'s", "'"})


class Span(NamedTuple):
    """The words of a value: from one to another, or from one to wherever the value ends; and the ending to cut."""

    start: int
    end: int | None
    ending: str = ""


class Match(NamedTuple):
    """A pattern found in a sentence."""

    rule: Rule
    literals: int
    start: int
    #: Behind its last word.
    end: int
    value: Span | None
    old: Span | None
    slots: tuple[tuple[str, str], ...]


class _Path(NamedTuple):
    """What was found of a pattern so far."""

    start: int
    #: How many of its words are given.
    literals: int = 0
    value: Span | None = None
    old: Span | None = None
    slots: tuple[tuple[str, str], ...] = ()

    def having_read(self, words: int) -> _Path:
        return _Path(self.start, self.literals + words, self.value, self.old, self.slots)

    def having(self, value: Value, span: Span) -> _Path:
        old = value.name == "old"
        return _Path(self.start, self.literals, self.value if old else span, span if old else self.old, self.slots)


def matches_at(found: Clauses, at: int, *, starts: bool, subject: str | None = None) -> list[Match]:
    """The patterns that begin here. starts: whether a statement may begin here; otherwise only those that may begin anywhere.

    subject: a word that an earlier clause began with, and which may be left out here: "I live in Porto and work as a nurse".
    """
    folded = found.words[at].folded
    matches: list[Match] = []
    language = found.language
    for root in (language.front, language.anywhere) if starts else (language.anywhere,):
        if folded in root.words or root.slots or root.values:
            _walk(found, root, at, _Path(at), matches)
    if subject is not None and subject in language.front.words:
        _walk(found, language.front.words[subject], at, _Path(at), matches)
    return matches


def tails_at(found: Clauses, at: int) -> list[Match]:
    """The patterns that begin with a value and go on here."""
    matches: list[Match] = []
    folded = found.words[at].folded
    for value, node in found.language.tails.items():
        if folded in node.words or node.slots:
            _walk(found, node, at, _Path(at).having(value, Span(at, at, value.ending)), matches)
    return matches


def _walk(found: Clauses, node: Node[Rule], at: int, path: _Path, matches: list[Match]) -> None:  # noqa: C901 - one branch for each kind of element
    """Add every match below this node to the matches."""
    matches.extend(Match(rule, path.literals, path.start, at, path.value, path.old, path.slots) for rule in node.open().ends)
    words = found.words
    if node.comma is not None:
        _walk(found, node.comma, at + (at < len(words) and words[at].text in _COMMAS), path, matches)
    if at >= len(words):
        return
    word = words[at]
    following = node.words.get(word.folded)
    if following is not None:
        _walk(found, following, at + 1, path.having_read(1), matches)
    if word.folded in found.language.aliases:
        other = node.words.get(found.language.aliases[word.folded])
        if other is not None:
            _walk(found, other, at + 1, path.having_read(1), matches)
    if node.exact:
        exact = node.words.get("=" + word.text.lower())
        if exact is not None:
            _walk(found, exact, at + 1, path.having_read(1), matches)
    for slot, behind in node.slots.items():
        match = found.language.lists[slot.words].match(words, at)
        if match is not None:
            length, stands_for, written = match
            _walk(
                found,
                behind,
                at + length,
                _Path(path.start, path.literals + length, path.value, path.old, (*path.slots, (slot.name, stands_for or written))),
                matches,
            )
    for value, behind in node.values.items():
        _value(found, value, behind, at, path, matches)
    if node.gap is not None:
        _gap(found, node.gap, at, path, matches)


def _value(found: Clauses, value: Value, behind: Node[Rule], at: int, path: _Path, matches: list[Match]) -> None:  # noqa: PLR0917 - the state of a walk
    for rule in behind.open().ends:
        opened = path.having(value, Span(at, None, value.ending))
        matches.append(Match(rule, path.literals, path.start, at, opened.value, opened.old, path.slots))
    if not behind.continues:
        return
    words = found.words
    anything = bool(behind.slots or behind.comma or behind.gap)
    for end in range(at + 1, min(at + LONGEST_VALUE, len(words) - 1) + 1):
        before = words[end - 1]
        if not (before.is_word or before.text in _INSIDE_VALUES) or found.has("joints", end - 1):
            return
        if anything or words[end].folded in behind.words or words[end].folded in found.language.aliases:
            longer: list[Match] = []
            _walk(found, behind, end, path.having(value, Span(at, end, value.ending)), longer)
            matches.extend(match for match in longer if match.end > end)


def _gap(found: Clauses, behind: Node[Rule], at: int, path: _Path, matches: list[Match]) -> None:
    words = found.words
    for end in range(at, min(at + _LONGEST_GAP, len(words)) + 1):
        if end > at and (not words[end - 1].is_word or found.has("negations", end - 1) or found.has("joints", end - 1)):
            return
        if end > at and words[end - 1].folded in POSSESSIVES:
            # "My wife's boss" is not my wife.
            return
        _walk(found, behind, end, path, matches)
