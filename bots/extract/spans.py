"""Where a value begins and ends among the words of a sentence, as one item or several."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field

from bots.extract.clauses import Clauses
from bots.extract.matching import LONGEST_VALUE
from bots.extract.rules import Shape
from bots.extract.words import QUOTED, Word

#: In a value these make it part of an address, a token or a label.
_SUSPICIOUS = frozenset(":<>|[]{}\\=@#$%^/")
_UNSEEN = frozenset({"Cc", "Cf", "Co", "Cn"})
MOST_THINGS = 6
#: How far behind a value a negation takes it back.
_BEHIND = 3
#: A relative clause within a list of things has at most so many words.
_LONGEST_RELATIVE = 8
SEVERAL = frozenset({"things", "listed", "names", "hours"})
#: "The Netherlands", "a house": an article belongs to them, or shows that they are none.
_WITH_ARTICLES = frozenset({"place", "name", "proper", "names", "hours"})


@dataclass(frozen=True, slots=True)
class Item:
    """One of the things that a value names."""

    words: tuple[Word, ...]
    #: The word before it: a comma, an "and", or nothing.
    joint: str
    #: Behind its last word.
    end: int


def begin(found: Clauses, end: int, taken: int, *, several: bool) -> int:
    """Where a value that stands before its pattern begins. several: whether it may be a list."""
    at = end
    while at > taken and end - at < LONGEST_VALUE:
        word = found.words[at - 1]
        if found.has("stops", at - 1) or found.has("joints", at - 1) or found.has("clause_words", at - 1):
            break
        if found.joins(at - 1):
            if not several or at == end:
                break
        elif not word.is_word and word.text != "-":
            break
        at -= 1
        if at in found.gaps and at < end:
            break
    while at < end and (found.joins(at) or "fillers" in found.signals[at]):
        at += max(found.signals[at].get("fillers", 1), 1)
    return min(at, end)


def bound(found: Clauses, shape: Shape, start: int, limit: int | None) -> tuple[list[Item], int] | None:
    """The items of a value and where it ends; None when it is no value at all."""
    reading = _Reading(found, shape, start, len(found.words) if limit is None else limit)
    # What is longer is no value; it need not be read to its end.
    while reading.at < reading.stop and len(reading.current) <= LONGEST_VALUE and len(reading.items) <= MOST_THINGS:
        if _spoils(found, start, reading.at):
            return None
        if not reading.step():
            break
    reading.close("")
    return reading.items, reading.at


def _spoils(found: Clauses, start: int, at: int) -> bool:
    """Whether a word makes all of it no value: a quotation, a sign of an address or a label, words of somebody else."""
    text = found.words[at].text
    if text == QUOTED or text in _SUSPICIOUS or unicodedata.category(text[:1] or "a") in _UNSEEN:
        return True
    return (found.silent[at] or (found.doubted[at] and not found.doubted[start])) and not found.joins(at) and not found.has("cuts", at)


@dataclass(slots=True)
class _Reading:
    """How far a value was read."""

    found: Clauses
    shape: Shape
    start: int
    stop: int
    at: int = -1
    items: list[Item] = field(default_factory=list[Item])
    current: list[Word] = field(default_factory=list[Word])
    joint: str = ""

    def __post_init__(self) -> None:
        self.at = self.start

    def step(self) -> bool:
        """Read on by a word or a few; say whether the value goes on."""
        found, at = self.found, self.at
        word = found.words[at]
        if found.silent[at] or (at in found.gaps and at > self.start and word.text != ",") or found.has("negations", at):
            return False
        if found.joins(at):
            return self._join(word)
        skipped = self._skipped(word)
        if skipped is not None:
            self.at = skipped
            return True
        if self._ends(word):
            return False
        article = 0 if self.current or self.shape.shape in _WITH_ARTICLES else found.signals[at].get("articles", 0)
        # One with a capital belongs to a name, unless the sentence begins with it.
        if article and at + article < self.stop and (word.text[:1].islower() or not word.text.isascii() or at == 0):
            self.at += article
            return True
        self.current.append(word)
        self.at += 1
        return True

    def close(self, joint: str) -> None:
        """End the item that is being read."""
        if self.current:
            self.items.append(Item(tuple(self.current), self.joint, self.at))
            self.current, self.joint = [], ""
        self.joint = joint if self.joint in {"", ","} else self.joint

    def _join(self, word: Word) -> bool:
        several = self.shape.shape in SEVERAL or self.shape.shape == "place"
        if not several or not (self.current or self.items) or not _goes_on(self.found, self.shape, self.at):
            return False
        if self.stop < len(self.found.words) and self.shape.shape == "things" and self.found.has("articles", self.at + 1):
            # "I have diabetes and a nut allergy": what follows the value belongs to the last thing alone.
            return False
        self.close(word.text)
        self.at += 1
        return True

    def _skipped(self, word: Word) -> int | None:
        """Where to read on behind what does not belong to an item: an age behind a name, a relative clause."""
        if not self.current:
            return None
        if self.shape.shape == "names" and (self.found.has("ages", self.at) or word.text[:1].isdigit()):
            return self.at + 1
        if self.shape.shape == "things" and self.found.has("relatives", self.at):
            return _behind_relative(self.found, self.at, self.stop)
        return None

    def _ends(self, word: Word) -> bool:
        found, at, shape = self.found, self.at, self.shape
        if (not word.is_word and word.text != "-") or found.has("joints", at) or shape.cuts.length(found.words, at):
            return True
        if self.current and shape.shape == "things" and found.has("relatives", at):
            return True
        return found.has("cuts", at) and not shape.uncut and not _is_name(found, shape, word)


def _behind_relative(found: Clauses, at: int, stop: int) -> int | None:
    """Behind "that you had last winter" a list may go on: the place of its comma or "and", before an article."""
    for after in range(at + 1, min(at + _LONGEST_RELATIVE, stop)):
        if not found.words[after].is_word and found.words[after].text != ",":
            return None
        if found.joins(after):
            behind = after + 1
            while behind < stop and found.joins(behind):
                behind += 1
            return after if behind < stop and found.has("definite", behind) else None
    return None


def _is_name(found: Clauses, shape: Shape, word: Word) -> bool:
    if not word.text[:1].isupper() or word.text.isupper():
        return shape.shape == "names" and word.text[:1].isupper()
    names = found.language.lists.get("word_names")
    return shape.shape == "names" or (shape.shape == "proper" and names is not None and bool(names.length([word], 0)))


def _goes_on(found: Clauses, shape: Shape, at: int) -> bool:
    """Whether a list goes on behind a joint: no other statement or clause begins there."""
    behind = at + 1
    while behind < len(found.words) and found.joins(behind):
        behind += 1
    if behind >= len(found.words) or behind in found.gaps:
        return False
    signals = found.signals[behind]
    if shape.shape == "names" and found.words[behind].text[:1].isupper():
        # "Lily and May": a name may be any word.
        return True
    if "needs_subject" in signals and behind + 1 < len(found.words) and found.words[behind + 1].is_word and not found.joins(behind + 1):
        # "I love jazz and play the drums"; not so "music and dance".
        return False
    return not any(name in signals for name in ("clause_words", "negations", "cuts", "joints", "questions", "stops"))


def is_taken_back(found: Clauses, shape: Shape, end: int) -> bool:
    """Whether a negation right behind takes the value back: "I live in Porto no more", "I like tea, not". Not so ", not Maria"."""
    words = found.words
    for at in range(end, min(end + _BEHIND, len(words))):
        if found.has("negations", at):
            behind = at + found.signals[at]["negations"]
            if shape.shape in {"name", "proper"}:
                # "My son Leo won't come" is about what he does.
                return behind >= len(words)
            return behind >= len(words) or words[at - 1].text != ","
        if (
            "and" in found.signals[at]
            or (found.joins(at) and at > end)
            or "joints" in found.signals[at]
            or "clause_words" in found.signals[at]
        ):
            return False
    return False


def without_ending(found: Clauses, items: list[Item], name: str) -> list[Item]:
    """The items without the ending: the last must have it, the others lose it where they do. None when the last has it not."""
    cut: list[Item] = []
    for number, item in enumerate(items):
        words = _cut_ending(found, item.words, name)
        if words is None and number == len(items) - 1:
            return []
        cut.append(Item(words or item.words, item.joint, item.end))
    return cut


def _cut_ending(found: Clauses, words: tuple[Word, ...], name: str) -> tuple[Word, ...] | None:
    """The words without an ending of the last, or a beginning of the first; None where they have none of these."""
    first, *middle = words
    *before, last = words
    for ending in found.language.endings[name]:
        if ending.is_prefix:
            cut = ending.cut(first)
            if cut is not None:
                return (cut, *middle)
            continue
        if before and last.is_glued and last.folded == ending.text:
            # A clitic that was cut off already.
            return tuple(before)
        cut = ending.cut(last)
        if cut is not None:
            return (*before, cut)
    return None
