"""The patterns of rules: how they are written, and the tries in which they are looked up. No pattern is a regular expression."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from sys import intern
from threading import Lock
from typing import Generic, TypeVar

from bots.extract.words import Word, fold, split_words

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Value:
    """The place of a value in a pattern, and the ending that its last word must have."""

    name: str
    ending: str = ""


@dataclass(frozen=True, slots=True)
class Slot:
    """The place of a word or phrase of a list. name tells two slots of one list apart: <channel> and <channel2>."""

    name: str
    words: str


@dataclass(frozen=True, slots=True)
class Gap:
    """Up to three words, whichever they are."""


#: A word as it is folded; "," stands for a comma that may be there.
Element = str | Value | Slot | Gap


@dataclass(frozen=True, slots=True)
class Ways:
    """One of several ways to go on; an empty one where all may be left out."""

    ways: tuple[tuple[Element | Ways, ...], ...]


#: What of a pattern is still to come: its next part, and what comes behind that. None: nothing.
Rest = tuple["Element | Ways", "Rest | None"]

_HYPHENED = re.compile(r"(?<![\w~'-])[^\W_]+(?:-[^\W_]+)+(?![\w'-])")
_CLOSING = {"(": ")", "[": "]", "{": "}", "<": ">"}

Cut = Callable[[Iterable[str]], Sequence[str]]


def parse(pattern: str, cut: Cut = tuple) -> Rest | None:
    """Read a pattern. cut: cuts its words as those of a message."""
    # What is written with a hyphen is often typed with a space: "mudei-me".
    ways, _ = _ways(_HYPHENED.sub(lambda word: f"({word[0]}|{word[0].replace('-', ' ')})", pattern), "", cut)
    return (Ways(tuple(ways)), None)


def slots_of(rest: Rest | None) -> Iterator[Slot]:
    """The slots in a pattern."""
    if rest is not None:
        part, behind = rest
        if isinstance(part, Slot):
            yield part
        elif isinstance(part, Ways):
            for way in part.ways:
                yield from slots_of(_before(way, None))
        yield from slots_of(behind)


def following(rest: Rest | None) -> tuple[list[tuple[Element, Rest | None]], bool]:
    """The elements that may come next, each with what comes behind it, and whether nothing needs to come."""
    if rest is None:
        return [], True
    part, behind = rest
    if not isinstance(part, Ways):
        return [(part, behind)], False
    found: list[tuple[Element, Rest | None]] = []
    may_end = False
    for way in part.ways:
        elements, ends = following(_before(way, behind))
        found.extend(elements)
        may_end = may_end or ends
    return found, may_end


def _before(way: Sequence[Element | Ways], rest: Rest | None) -> Rest | None:
    for part in reversed(way):
        rest = (part, rest)
    return rest


def _ways(text: str, closing: str, cut: Cut) -> tuple[list[tuple[Element | Ways, ...]], str]:
    """Read until what closes; return the alternatives and the text behind."""
    ways: list[tuple[Element | Ways, ...]] = []
    current: list[Element | Ways] = []
    while text:
        letter = text[0]
        if letter == closing:
            return [*ways, tuple(current)], text[1:]
        if letter in ")]":
            raise ValueError(f"{letter} without its beginning")
        if letter == "|":
            ways.append(tuple(current))
            current, text = [], text[1:]
        elif letter in "([":
            inner, text = _ways(text[1:], _CLOSING[letter], cut)
            current.append(Ways((*inner, ()) if letter == "[" else tuple(inner)))
        else:
            elements, text = _plain(text, cut)
            current.extend(elements)
    if closing:
        raise ValueError(f"{closing} is missing")
    return [*ways, tuple(current)], ""


def _plain(text: str, cut: Cut) -> tuple[list[Element], str]:
    """Read one value, slot, gap or run of words."""
    if text[0] in "{<":
        inside, _, rest = text[1:].partition(_CLOSING[text[0]])
        if text[0] == "<":
            return [Slot(inside, inside.rstrip("0123456789"))], rest
        name, _, ending = inside.partition("~")
        return [Value(name or "value", ending)], rest
    end = next((at for at, letter in enumerate(text) if letter in "([{<|)]"), len(text))
    elements: list[Element] = []
    for piece in text[:end].split():
        if piece == "..":
            elements.append(Gap())
        elif piece.startswith("=") and len(piece) > 1:
            elements.append(piece.lower())
        elif piece == ",":
            elements.append(",")
        else:
            elements.extend(cut(fold_pattern(piece)))
    return elements, text[end:]


def fold_pattern(piece: str) -> list[str]:
    """The words of a piece of a pattern as a message's words are folded. A cut piece of a word ("'s") stays one word."""
    words = [fold(piece)] if piece.startswith("'") or piece.endswith("'") else [word.folded for word in split_words(piece)]
    # Most words stand in several lists: each is kept once.
    return list(map(intern, words))


_OPENING = Lock()


@dataclass(slots=True)
class Node(Generic[T]):
    """A place in a trie of patterns: what may follow, and the rules that end here.

    What lies below is worked out when a message first comes here (`open`): most of a file is never needed.
    """

    words: dict[str, Node[T]] = field(default_factory=dict[str, "Node[T]"])
    slots: dict[Slot, Node[T]] = field(default_factory=dict[Slot, "Node[T]"])
    values: dict[Value, Node[T]] = field(default_factory=dict[Value, "Node[T]"])
    gap: Node[T] | None = None
    #: Behind a comma, which may be there or not.
    comma: Node[T] | None = None
    ends: list[T] = field(default_factory=list[T])
    #: The lists whose words may follow in a slot.
    listed: frozenset[str] = frozenset()
    #: Whether a word must be written exactly so.
    exact: bool = False
    #: What has not been worked out yet.
    closed: list[tuple[Rest | None, T]] = field(default_factory=list[tuple["Rest | None", T]])

    def add(self, rest: Rest | None, leaf: T) -> None:
        """Add what may come below this node."""
        self.closed.append((rest, leaf))

    def open(self) -> Node[T]:
        """Work out what may follow."""
        if self.closed:
            # Other threads wait until all of it is there.
            with _OPENING:
                for rest, leaf in self.closed:
                    elements, may_end = following(rest)
                    if may_end and leaf not in self.ends:
                        self.ends.append(leaf)
                    for element, behind in elements:
                        self.next(element).add(behind, leaf)
                self.closed.clear()
        return self

    def next(self, element: Element) -> Node[T]:
        """The node behind an element, made if there is none."""
        if isinstance(element, Slot):
            self.listed |= {element.words}
            return _made(self.slots, element)
        if isinstance(element, Value):
            return _made(self.values, element)
        if isinstance(element, Gap):
            self.gap = self.gap or Node()
            return self.gap
        if element == ",":
            self.comma = self.comma or Node()
            return self.comma
        self.exact = self.exact or element.startswith("=")
        return _made(self.words, element)

    @property
    def continues(self) -> bool:
        """Whether anything may follow."""
        return bool(self.words or self.slots or self.values or self.gap or self.comma)


K = TypeVar("K")


def _made(children: dict[K, Node[T]], key: K) -> Node[T]:
    node = children.get(key)
    if node is None:
        node = children[key] = Node()
    return node


class Phrases:
    """Words and phrases of a list, found at a place in a text. A list is worked out when it is first looked at: most are never needed."""

    def __init__(self, entries: Iterable[str], cut: Cut = tuple) -> None:
        """Read entries, with their words cut as those of a message: `boys>sons` matches boys and stands for sons, `=sí` matches only exactly so, `-in` is an ending of a word."""
        self._entries, self._cut = tuple(entries), cut

    @cached_property
    def endings(self) -> list[str]:
        """The endings of words, folded."""
        return [fold(entry[1:]) for entry in map(_written, self._entries) if _is_ending(entry)]

    @cached_property
    def by_first(self) -> dict[str, list[tuple[tuple[str, ...], bool, str, str]]]:
        """By the first word, longest first: the words, whether exactly so, what it stands for, and the entry as written."""
        found: dict[str, list[tuple[tuple[str, ...], bool, str, str]]] = {}
        for entry in self._entries:
            written, _, stands_for = entry.partition(">")
            if _is_ending(written):
                continue
            exact = written.startswith("=") and len(written) > 1
            words = (
                tuple(written[1:].lower().split())
                if exact
                else tuple(self._cut(word for piece in written.split() for word in fold_pattern(piece)))
            )
            key = fold(words[0]) if exact else words[0]
            found.setdefault(key, []).append((words, exact, stands_for, written.lstrip("=")))
        for phrases in found.values():
            phrases.sort(key=lambda phrase: -len(phrase[0]))
        return found

    def match(self, words: Sequence[Word], at: int) -> tuple[int, str, str] | None:
        """The length of the longest phrase here, what it stands for if that is something else, and the entry as written."""
        for phrase, exact, stands_for, written in self.by_first.get(words[at].folded, ()):
            length = len(phrase)
            if length == 1:
                if not exact or words[at].text.lower() == phrase[0]:
                    return 1, stands_for, written
            elif at + length <= len(words) and all(
                (words[at + step].text.lower() if exact else words[at + step].folded) == phrase[step] for step in range(length)
            ):
                return length, stands_for, written
        if self.endings and words[at].is_word:
            folded = words[at].folded
            if any(folded.endswith(ending) and len(folded) >= len(ending) + 2 for ending in self.endings):
                return 1, "", words[at].text.lower()
        return None

    def length(self, words: Sequence[Word], at: int) -> int:
        """The length of the longest phrase here; 0 when there is none."""
        found = self.match(words, at)
        return found[0] if found else 0

    def vocabulary(self) -> Iterator[str]:
        """All words of all phrases."""
        for phrases in self.by_first.values():
            for words, *_ in phrases:
                yield from (fold(word) for word in words)


def _written(entry: str) -> str:
    return entry.partition(">")[0]


def _is_ending(written: str) -> bool:
    return written.startswith("-") and len(written) > 1
