"""The patterns of rules: how they are written, and the tries in which they are looked up. No pattern is a regular expression."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
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

_HYPHENED = re.compile(r"(?<![\w~'-])[^\W_]+(?:-[^\W_]+)+(?![\w'-])")
_CLOSING = {"(": ")", "[": "]", "{": "}", "<": ">"}


def expand(pattern: str) -> list[tuple[Element, ...]]:
    """Return every sequence of words, slots and values that a pattern stands for."""
    # What is written with a hyphen is often typed with a space: "mudei-me".
    sequences, rest = _alternatives(_HYPHENED.sub(lambda word: f"({word[0]}|{word[0].replace('-', ' ')})", pattern), "")
    if rest:
        raise ValueError(f"what closes in {pattern!r} was never opened")
    return [sequence for sequence in dict.fromkeys(sequences) if sequence]


def _alternatives(text: str, closing: str) -> tuple[list[tuple[Element, ...]], str]:
    """Read until what closes; return the alternatives and the rest of the text."""
    done: list[tuple[Element, ...]] = []
    current: list[tuple[Element, ...]] = [()]
    while text:
        letter = text[0]
        if letter == closing:
            return done + current, text[1:]
        if letter in ")]":
            raise ValueError(f"{letter} without its beginning")
        if letter == "|":
            done, current, text = done + current, [()], text[1:]
        elif letter in "([":
            inner, text = _alternatives(text[1:], _CLOSING[letter])
            options = [*inner, ()] if letter == "[" else inner
            current = [(*head, *tail) for head in current for tail in options]
        else:
            elements, text = _plain(text)
            current = [(*head, *elements) for head in current]
    if closing:
        raise ValueError(f"{closing} is missing")
    return done + current, ""


def _plain(text: str) -> tuple[list[Element], str]:
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
            elements.extend(fold_pattern(piece))
    return elements, text[end:]


def fold_pattern(piece: str) -> list[str]:
    """The words of a piece of a pattern as a message's words are folded. A cut piece of a word ("'s") stays one word."""
    return [fold(piece)] if piece.startswith("'") or piece.endswith("'") else [word.folded for word in split_words(piece)]


@dataclass(slots=True)
class Node(Generic[T]):
    """A place in a trie of patterns: what may follow, and the rules that end here."""

    words: dict[str, Node[T]] = field(default_factory=dict[str, "Node[T]"])
    slots: dict[Slot, Node[T]] = field(default_factory=dict[Slot, "Node[T]"])
    values: dict[Value, Node[T]] = field(default_factory=dict[Value, "Node[T]"])
    gap: Node[T] | None = None
    ends: list[T] = field(default_factory=list[T])
    #: Whether a comma may come next; it changes nothing else.
    comma: Node[T] | None = None

    def add(self, sequence: Sequence[Element], leaf: T) -> None:
        """Add a pattern below this node."""
        node: Node[T] = self
        for element in sequence:
            node = node.next(element)
        if leaf not in node.ends:
            node.ends.append(leaf)

    def next(self, element: Element) -> Node[T]:
        """The node behind an element, made if there is none."""
        if isinstance(element, Slot):
            return self.slots.setdefault(element, Node())
        if isinstance(element, Value):
            return self.values.setdefault(element, Node())
        if isinstance(element, Gap):
            self.gap = self.gap or Node()
            return self.gap
        if element == ",":
            self.comma = self.comma or Node()
            return self.comma
        return self.words.setdefault(element, Node())

    @property
    def continues(self) -> bool:
        """Whether anything may follow."""
        return bool(self.words or self.slots or self.values or self.gap or self.comma)


def _cut(written: str, cut: Callable[[Iterable[str]], Sequence[Element]]) -> tuple[str, ...]:
    return tuple(str(word) for word in cut(word for piece in written.split() for word in fold_pattern(piece)))


class Phrases:
    """Words and phrases of a list, found at a place in a text."""

    def __init__(self, entries: Iterable[str], cut: Callable[[Iterable[str]], Sequence[Element]]) -> None:
        """Read entries, with their words cut as those of a message: `boys>sons` matches boys and stands for sons, `=sí` matches only exactly so, `-in` is an ending of a word."""
        self.endings: list[str] = []
        #: By the first word, longest first: the words, whether exactly so, what it stands for, and the entry as written.
        self.by_first: dict[str, list[tuple[tuple[str, ...], bool, str, str]]] = {}
        for entry in entries:
            written, _, stands_for = entry.partition(">")
            if written.startswith("-") and len(written) > 1:
                self.endings.append(fold(written[1:]))
                continue
            exact = written.startswith("=") and len(written) > 1
            words = tuple(written[1:].lower().split()) if exact else _cut(written, cut)
            key = fold(words[0]) if exact else words[0]
            self.by_first.setdefault(key, []).append((words, exact, stands_for, written.lstrip("=")))
        for phrases in self.by_first.values():
            phrases.sort(key=lambda phrase: -len(phrase[0]))

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
