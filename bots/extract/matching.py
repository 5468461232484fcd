"""Finds the patterns of rules in a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from bots.extract.clauses import Clauses
from bots.extract.language import Leaf, Rule
from bots.extract.patterns import Node, Value

#: No value has more words; a pattern that goes on behind its value is looked for so far.
LONGEST_VALUE = 12
_LONGEST_GAP = 3
#: What a comma in a pattern stands for: "Allergies: nuts" in a form, too.
_COMMAS = frozenset({",", ":", "-", "–"})


@dataclass(frozen=True, slots=True)
class Span:
    """The words of a value: from one to another, or from one to wherever the value ends; and the ending to cut."""

    start: int
    end: int | None
    ending: str = ""


@dataclass(frozen=True, slots=True)
class Match:
    """A pattern found in a sentence."""

    rule: Rule
    literals: int
    start: int
    #: Behind its last word.
    end: int
    value: Span | None = None
    old: Span | None = None
    slots: tuple[tuple[str, str], ...] = ()


def matches_at(found: Clauses, at: int, *, starts: bool) -> list[Match]:
    """The patterns that begin here. starts: whether a statement may begin here; otherwise only those that may begin anywhere."""
    word = found.words[at]
    matches: list[Match] = []
    for root in (found.language.front, found.language.anywhere) if starts else (found.language.anywhere,):
        if word.folded in root.words or root.slots or root.values:
            matches.extend(_walk(found, root, at, Match(_NOBODY, 0, at, at)))
    return matches


def tails_at(found: Clauses, at: int) -> list[Match]:
    """The patterns that begin with a value and go on here."""
    matches: list[Match] = []
    for value, node in found.language.tails.items():
        if found.words[at].folded in node.words or node.slots:
            span = Span(at, at, value.ending)
            state = Match(_NOBODY, 0, at, at, **{value.name: span})
            matches.extend(_walk(found, node, at, state))
    return matches


def _walk(found: Clauses, node: Node[Leaf], at: int, state: Match) -> Iterator[Match]:
    for leaf in node.ends:
        yield replace(state, rule=leaf.rule, literals=leaf.literals, end=at)
    words = found.words
    if node.comma is not None:
        yield from _walk(found, node.comma, at + (at < len(words) and words[at].text in _COMMAS), state)
    if at >= len(words):
        return
    word = words[at]
    following = node.words.get(word.folded)
    if following is not None:
        yield from _walk(found, following, at + 1, state)
    if not word.text.isascii() or len(word.text) < 3:
        exact = node.words.get("=" + word.text.lower())
        if exact is not None:
            yield from _walk(found, exact, at + 1, state)
    for slot, behind in node.slots.items():
        match = found.language.lists[slot.words].match(words, at)
        if match is not None:
            length, stands_for, written = match
            text = stands_for or written
            yield from _walk(found, behind, at + length, replace(state, slots=(*state.slots, (slot.name, text))))
    for value, behind in node.values.items():
        yield from _value(found, value, behind, at, state)
    if node.gap is not None:
        for end in range(at, min(at + _LONGEST_GAP, len(words)) + 1):
            if end > at and (not words[end - 1].is_word or found.has("negations", end - 1) or _is_boundary(found, end - 1)):
                break
            yield from _walk(found, node.gap, end, state)


def _value(found: Clauses, value: Value, behind: Node[Leaf], at: int, state: Match) -> Iterator[Match]:
    for leaf in behind.ends:
        yield replace(state, rule=leaf.rule, literals=leaf.literals, end=at, **{value.name: Span(at, None, value.ending)})
    if not behind.continues:
        return
    words = found.words
    for end in range(at + 1, min(at + LONGEST_VALUE, len(words) - 1) + 1):
        before = words[end - 1]
        if not before.is_word and before.text not in {",", "&", "-"}:
            return
        if found.has("joints", end - 1):
            return
        if behind.slots or behind.comma or behind.gap or words[end].folded in behind.words:
            yield from (
                match for match in _walk(found, behind, end, replace(state, **{value.name: Span(at, end, value.ending)})) if match.end > end
            )


def _is_boundary(found: Clauses, at: int) -> bool:
    return found.has("joints", at)


_NOBODY = Rule(
    number=-1, kind=None, shape=None, written_as="", topic=None, ends=(), ends_as="", anywhere=False, asked=False, day=False, behind=None, beside=False, firm=False, alone=False,
)  # fmt: skip
