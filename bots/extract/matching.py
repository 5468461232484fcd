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
    """What was found of a pattern so far, besides its words."""

    start: int
    value: Span | None = None
    old: Span | None = None
    slots: tuple[tuple[str, str], ...] = ()

    def having(self, value: Value, span: Span) -> _Path:
        old = value.name == "old"
        return _Path(self.start, self.value if old else span, span if old else self.old, self.slots)


def matches_at(found: Clauses, at: int, *, starts: bool, subject: str | None = None) -> list[Match]:
    """The patterns that begin here. starts: whether a statement may begin here; otherwise only those that may begin anywhere.

    subject: a word that an earlier clause began with, and which may be left out here: "I live in Porto and work as a nurse".
    """
    matches: list[Match] = []
    language = found.language
    for root in (language.front, language.anywhere) if starts else (language.anywhere,):
        if root.values or _begins(found, root, at):
            _walk(found, root, at, 0, _Path(at), matches)
    if subject is not None and subject in language.front.words:
        _walk(found, language.front.words[subject], at, 0, _Path(at), matches)
    return matches


def tails_at(found: Clauses, at: int) -> list[Match]:
    """The patterns that begin with a value and go on here."""
    matches: list[Match] = []
    for value, node in found.language.tails.items():
        if _begins(found, node, at):
            _walk(found, node, at, 0, _Path(at).having(value, Span(at, at, value.ending)), matches)
    return matches


def _begins(found: Clauses, root: Node[Rule], at: int) -> bool:
    """Whether a pattern below a root may begin here with a word or a slot. Most words begin none, and are asked no more."""
    return found.words[at].folded in root.words or (bool(root.slots) and (bool(root.values) or root.exact or _leads_on(found, root, at)))


def _leads_on(found: Clauses, node: Node[Rule], at: int) -> bool:
    """Whether a slot begins here, or the word may be read as another or passed over."""
    return (
        not node.listed.isdisjoint(found.listed[at])
        or node.gap is not None
        or found.words[at].folded in found.language.aliases
        or (node.comma is not None and _leads_on_behind_comma(found, node.comma, at))
    )


def _leads_on_behind_comma(found: Clauses, node: Node[Rule], at: int) -> bool:
    if node.closed:
        node.open()
    at += found.words[at].text in _COMMAS
    return (
        at >= len(found.words)
        or bool(node.ends)
        or bool(node.values)
        or node.exact
        or found.words[at].folded in node.words
        or _leads_on(found, node, at)
    )


def _walk(  # noqa: C901, PLR0912, PLR0917 - one branch for each kind of element; the state of a walk
    found: Clauses, node: Node[Rule], at: int, literals: int, path: _Path, matches: list[Match]
) -> None:
    """Add every match below this node to the matches. literals: how many given words were read."""
    words, language = found.words, found.language
    while True:
        if node.closed:
            node.open()
        if node.ends:
            matches.extend(Match(rule, literals, path.start, at, path.value, path.old, path.slots) for rule in node.ends)
        if node.comma is not None:
            _walk(found, node.comma, at + (at < len(words) and words[at].text in _COMMAS), literals, path, matches)
        if at >= len(words):
            return
        word = words[at]
        folded = word.folded
        following = node.words.get(folded)
        listed = node.listed and not node.listed.isdisjoint(found.listed[at])
        if not (listed or node.values or node.exact or node.gap is not None or folded in language.aliases):
            # Nearly always the next word is all that there is to follow.
            if following is None:
                return
            node, at, literals = following, at + 1, literals + 1
            continue
        if following is not None:
            _walk(found, following, at + 1, literals + 1, path, matches)
        if folded in language.aliases and (other := node.words.get(language.aliases[folded])) is not None:
            _walk(found, other, at + 1, literals + 1, path, matches)
        if node.exact and (exact := node.words.get("=" + word.text.lower())) is not None:
            _walk(found, exact, at + 1, literals + 1, path, matches)
        if listed:
            _slots(found, node, at, literals, path, matches)
        for value, behind in node.values.items():
            _value(found, value, behind, at, literals, path, matches)
        if node.gap is not None:
            _gap(found, node.gap, at, literals, path, matches)
        return


def _slots(found: Clauses, node: Node[Rule], at: int, literals: int, path: _Path, matches: list[Match]) -> None:  # noqa: PLR0917 - the state of a walk
    here, lists = found.listed[at], found.language.lists
    for slot, behind in node.slots.items():
        match = lists[slot.words].match(found.words, at) if slot.words in here else None
        if match is not None:
            length, stands_for, written = match
            slots = (*path.slots, (slot.name, stands_for or written))
            _walk(found, behind, at + length, literals + length, _Path(path.start, path.value, path.old, slots), matches)


def _value(  # noqa: PLR0917 - the state of a walk
    found: Clauses, value: Value, behind: Node[Rule], at: int, literals: int, path: _Path, matches: list[Match]
) -> None:
    if behind.closed:
        behind.open()
    if behind.ends:
        opened = path.having(value, Span(at, None, value.ending))
        matches.extend(Match(rule, literals, path.start, at, opened.value, opened.old, path.slots) for rule in behind.ends)
    if not behind.continues or not _may_go_on(found, behind):
        return
    words = found.words
    for end in range(at + 1, min(at + LONGEST_VALUE, len(words) - 1) + 1):
        before = words[end - 1]
        if not (before.is_word or before.text in _INSIDE_VALUES) or found.has("joints", end - 1):
            return
        if words[end].folded in behind.words or _goes_on(found, behind, end):
            longer: list[Match] = []
            _walk(found, behind, end, literals, path.having(value, Span(at, end, value.ending)), longer)
            matches.extend(match for match in longer if match.end > end)


def _may_go_on(found: Clauses, node: Node[Rule]) -> bool:
    """Whether a pattern may go on behind a value anywhere in the sentence: most are ruled out at once, before each of its words is asked."""
    if node.gap is not None or node.exact or node.comma is not None:
        return True
    return not (node.words.keys().isdisjoint(found.all_words) and node.listed.isdisjoint(found.all_listed))


def _goes_on(found: Clauses, node: Node[Rule], at: int) -> bool:
    """Whether a pattern may go on here behind a value, though not with the word itself."""
    is_open = bool(node.slots) or node.comma is not None
    return (is_open and (node.exact or bool(node.values))) or _leads_on(found, node, at)


def _gap(found: Clauses, behind: Node[Rule], at: int, literals: int, path: _Path, matches: list[Match]) -> None:  # noqa: PLR0917 - the state of a walk
    words = found.words
    for end in range(at, min(at + _LONGEST_GAP, len(words)) + 1):
        if end > at and (not words[end - 1].is_word or found.has("negations", end - 1) or found.has("joints", end - 1)):
            return
        if end > at and words[end - 1].folded in POSSESSIVES:
            # "My wife's boss" is not my wife.
            return
        if (
            end == len(words)
            or behind.closed
            or behind.ends
            or behind.values
            or behind.exact
            or words[end].folded in behind.words
            or _leads_on(found, behind, end)
        ):
            _walk(found, behind, end, literals, path, matches)
