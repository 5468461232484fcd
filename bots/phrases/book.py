"""The phrases of all languages as one net of words, made from the files in bots/phrases/languages."""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from bots.phrases.spelling import Spelling, spelling
from bots.phrases.words import words_of

_FOLDER = Path(__file__).parent / "languages"
_LETTERS = re.compile(r"[^\W\d_]+")
#: What is in a file besides things that are said.
_AS_WRITTEN = frozenset({"slash", "called", "also_written", "unlike", "now", "moves"})
#: The name of words of [parts], which stand for each other.
_PART = re.compile(r"<(\w+)>")
_SLOTS = frozenset({"{my}", "{rest}", "{}"})


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a phrase asks for, and in which language."""

    name: str
    language: str
    #: Whether it may be asked: "what do you know about me?"
    asks: bool = False


@dataclass(frozen=True, slots=True)
class Named:
    """A kind of fact as a person names it; word: only those memories of the kind that are about this, such as "dog"."""

    kind: str
    language: str
    word: str = ""


@dataclass(slots=True, eq=False)
class Node:
    """A place between two words of phrases."""

    #: Where each word, or slot such as {my}, leads; and where no word is needed to go.
    words: dict[str, tuple[Node, ...]] = field(default_factory=dict[str, "tuple[Node, ...]"])
    skips: tuple[Node, ...] = ()
    #: What ends here: phrases, or names of kinds.
    means: tuple[Meaning, ...] = ()
    names: tuple[Named, ...] = ()
    #: Whether exactly one row of words leads here, so that others may lead on from here.
    is_plain: bool = True

    def after(self, words: Sequence[str]) -> Node:
        """The place that these words lead to; made where it is missing."""
        node = self
        for word in words:
            plain = next((one for one in node.words.get(word, ()) if one.is_plain), None)
            if plain is None:
                plain = Node()
                node.lead(word, plain)
            node = plain
        return node

    def lead(self, word: str, *places: Node) -> None:
        """Let a word lead to these places, too."""
        self.words[word] = (*self.words.get(word, ()), *places)

    def add(self, phrase: str) -> Node:
        """Add a phrase with its choices beside those that begin here, and return the place at its end."""
        if "(" not in phrase:
            return self.after(_choices(phrase)[0])
        begin = node = Node(is_plain=False)
        for run in _runs(phrase):
            end = Node(is_plain=False)
            for words in _choices(run):
                if words:
                    last = node
                    for word in words[:-1]:
                        step = Node(is_plain=False)
                        last.lead(word, step)
                        last = step
                    last.lead(words[-1], end)
                else:
                    node.skips += (end,)
            node = end
        for reached in _reached(begin):
            for word, following in reached.words.items():
                self.lead(word, *following)
        return node


@dataclass(frozen=True, slots=True)
class Book:
    """All phrases of all languages."""

    phrases: Node
    courtesy: Node
    fillers: Node
    asking: Node
    #: Names of kinds ("address"), and how they stand in a sentence ("my {}").
    names: Node
    mine: Node
    #: The words behind a slash: name of the command, and its language.
    slash: Mapping[str, tuple[Meaning, ...]]
    #: Every word that a phrase, or what may stand before one, begins with.
    firsts: frozenset[str]
    #: The words of phrases, with all that may stand between them, and the words that begin a phrase with a free end.
    told: frozenset[str]
    all_words: frozenset[str]
    free: frozenset[str]
    #: How they are mistyped.
    spelling: Spelling
    #: What is said of one of the family or of the animals, in every language: "dog" -> dog, Hund, chien.
    words: Mapping[str, frozenset[tuple[str, ...]]]
    #: Which language its name means, in whichever language: "francese" -> fr.
    languages: Mapping[str, str]
    #: Words that without their accents would be those of a wish, as they are written: "olvidé" says what has happened.
    unlike: frozenset[str]
    #: Words for now, and words that with one of them mean a movement: "ya baja" says that somebody comes down.
    now: frozenset[str]
    moves: frozenset[str]


@cache
def book() -> Book:
    """Read all files. Takes most of a second, once."""
    draft = _Draft()
    for language, written in tables().items():
        table = _also_written(written, dict(pair.split("=") for pair in written.get("also_written", "").split()))
        draft.add_phrases(language, table)
        draft.add_names(language, table)
        draft.add_words(language, table)
    drafted = (draft.phrases, draft.courtesy, draft.fillers, draft.asking, draft.names, draft.mine)
    phrases, courtesy, fillers, asking, names, mine = map(_Joined().place, drafted)
    # Needed no more once all phrases are there.
    _choices.cache_clear()
    _words.cache_clear()
    told = frozenset(_vocabulary(phrases)) - _SLOTS
    between = frozenset(word for node in (courtesy, fillers, asking, names, mine) for word in _vocabulary(node)) - _SLOTS
    return Book(
        phrases=phrases,
        courtesy=courtesy,
        fillers=fillers,
        asking=asking,
        names=names,
        mine=mine,
        slash={word: tuple(meanings) for word, meanings in draft.slash.items()},
        firsts=frozenset([*phrases.words, *courtesy.words, *fillers.words, *asking.words, *mine.words, *names.words]) - _SLOTS,
        told=told,
        all_words=told | between,
        free=frozenset(draft.free) - _SLOTS,
        spelling=spelling(told | between, {word for node in (names, mine) for word in _vocabulary(node)} - _SLOTS),
        words={word: frozenset(said) for word, said in draft.words.items()},
        languages=draft.languages,
        unlike=frozenset(draft.unlike),
        now=frozenset(draft.now),
        moves=frozenset(draft.moves),
    )


class _Joined:
    """Makes one place of all from which the same leads on to the same: most phrases end alike, so a third of the places is left."""

    def __init__(self) -> None:
        self._places: dict[int, Node] = {}
        self._known: dict[Any, Node] = {}

    def place(self, drafted: Node) -> Node:
        """The place that stands for a drafted one."""
        found = self._places.get(id(drafted))
        if found is None:
            words = {word: tuple(dict.fromkeys(map(self.place, following))) for word, following in drafted.words.items()}
            skips = tuple(dict.fromkeys(map(self.place, drafted.skips)))
            key = (frozenset(words.items()), skips, drafted.means, drafted.names)
            found = self._places[id(drafted)] = self._known.setdefault(key, Node(words, skips, drafted.means, drafted.names))
        return found


@dataclass(slots=True)
class _Draft:
    """What becomes the book, while the files are read."""

    phrases: Node = field(default_factory=Node)
    courtesy: Node = field(default_factory=Node)
    fillers: Node = field(default_factory=Node)
    asking: Node = field(default_factory=Node)
    names: Node = field(default_factory=Node)
    mine: Node = field(default_factory=Node)
    slash: dict[str, list[Meaning]] = field(default_factory=dict[str, list[Meaning]])
    free: set[str] = field(default_factory=set[str])
    words: dict[str, set[tuple[str, ...]]] = field(default_factory=dict[str, set[tuple[str, ...]]])
    languages: dict[str, str] = field(default_factory=dict[str, str])
    now: set[str] = field(default_factory=set[str])
    moves: set[str] = field(default_factory=set[str])
    unlike: set[str] = field(default_factory=set[str])

    def add_phrases(self, language: str, table: dict[str, Any]) -> None:
        """Add what is said, and what may stand before it and between its words."""
        parts: dict[str, str] = {}
        for name, text in table.get("parts", {}).items():
            parts[name] = "|".join(listed(_with_parts(text, parts)))
        for name, text in table["phrases"].items():
            for phrase in listed(_with_parts(text, parts)):
                if "{rest}" in phrase:
                    self.free.update(words[0] for words in _choices(next(_runs(phrase))) if words)
                self.phrases.add(phrase.rstrip("?")).means += (Meaning(name, language, asks=phrase.endswith("?")),)
        for where, key in ((self.courtesy, "courtesy"), (self.fillers, "fillers"), (self.asking, "asking")):
            for words in (words for phrase in listed(table.get(key, "")) for words in _choices(phrase)):
                where.after(words).means += (Meaning(key, language),)

    def add_names(self, language: str, table: dict[str, Any]) -> None:
        """Add the names of kinds, of people and animals."""
        for template in listed(table["names"]["my"]):
            self.mine.add(template).means += (Meaning("my", language),)
        for where, kind, word, said in _named(table):
            for words in _choices(said):
                (self.names if where == "names" else self.mine).after(words).names += (Named(kind, language, word),)
                if word:
                    self.words.setdefault(word, set()).add(words)

    def add_words(self, language: str, table: dict[str, Any]) -> None:
        """Add the words behind a slash, how the language is called, and words for now."""
        for name, text in table["slash"].items():
            for word in listed(text):
                self.slash.setdefault(" ".join(words_of(word)), []).append(Meaning(name, language))
        self.languages |= {" ".join(words_of(name)): language for name in [language, *listed(table["called"])]}
        self.now.update(words_of(table.get("now", "")))
        self.moves.update(words_of(table.get("moves", "")))
        self.unlike.update(table.get("unlike", "").split())


@cache
def tables() -> Mapping[str, dict[str, Any]]:
    """The files as they are, by language."""
    return {path.stem: tomllib.loads(path.read_text("utf-8")) for path in sorted(_FOLDER.glob("*.toml"))}


def listed(text: str) -> Iterator[str]:
    """The phrases of a list."""
    return (phrase for part in text.split(";") if (phrase := part.strip()))


def _also_written(table: Any, letters: Mapping[str, str]) -> Any:
    """A table in which each word may also be written with other letters, as "für" is "fuer"."""
    if not letters or not isinstance(table, dict | str):
        return table
    if isinstance(table, dict):
        return {name: one if name in _AS_WRITTEN else _also_written(one, letters) for name, one in table.items()}  # pyright: ignore[reportUnknownVariableType]
    signs = str.maketrans(dict(letters))
    return _LETTERS.sub(
        lambda found: f"({found[0]}|{found[0].translate(signs)})" if found[0] != found[0].translate(signs) else found[0], table
    )


def _with_parts(text: str, parts: Mapping[str, str]) -> str:
    return _PART.sub(lambda found: f"({parts[found[1]]})", text)


def _runs(phrase: str) -> Iterator[str]:
    """The parts of a phrase between spaces that are in no brackets."""
    depth, run = 0, ""
    for sign in phrase:
        depth += (sign == "(") - (sign == ")")
        if sign.isspace() and not depth:
            yield run
            run = ""
        else:
            run += sign
    yield run


@cache
def _choices(run: str) -> tuple[tuple[str, ...], ...]:
    """The words that a part of a phrase may be: "(my|)" is one or none, "m'(écris|écrivez)" is two. Choices may have others in them."""
    return tuple(dict.fromkeys(tuple(word for part in _cut(text) for word in part) for text in _spelled(run)))


def _spelled(text: str) -> Iterator[str]:
    """The texts that a text with choices may be."""
    begin = text.find("(")
    if begin < 0:
        yield text
        return
    bars, end = [begin], _closing(text, begin)
    bars += [at for at in range(begin + 1, end) if text[at] == "|" and text.count("(", begin, at) - text.count(")", begin, at) == 1]
    behind = list(_spelled(text[end + 1 :]))
    for bar, following in itertools.pairwise([*bars, end]):
        yield from (text[:begin] + side + rest for side in _spelled(text[bar + 1 : following]) for rest in behind)


def _closing(text: str, begin: int) -> int:
    """Where the bracket that opens here closes."""
    depth = 0
    for at in range(begin, len(text)):
        depth += (text[at] == "(") - (text[at] == ")")
        if not depth:
            return at
    raise ValueError(f"a bracket is open in {text!r}")


def _cut(text: str) -> Iterator[tuple[str, ...]]:
    return map(_words, text.split())


@cache
def _words(part: str) -> tuple[str, ...]:
    return (part,) if part in _SLOTS else words_of(part)


def _reached(node: Node) -> Iterator[Node]:
    """The places that are reached without a word, the first of them itself."""
    yield node
    for following in node.skips:
        yield from _reached(following)


def _vocabulary(begin: Node) -> Iterator[str]:
    """Every word that leads on anywhere behind a place."""
    left, seen = [begin], {id(begin)}
    while left:
        node = left.pop()
        yield from node.words
        for following in itertools.chain(node.skips, *node.words.values()):
            if id(following) not in seen:
                seen.add(id(following))
                left.append(following)


def _named(table: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """Each name of a kind, and each word for a part of one: (names or mine, kind, word, as it is said)."""
    for where in ("names", "my_names"):
        for kind, text in table.get(where, {}).items():
            if kind != "my":
                yield from ((where, kind, "", said) for said in listed(text))
    for where, key in (("names", "words"), ("my_names", "my_words")):
        for kind, words in table.get(key, {}).items():
            yield from ((where, kind, word, said) for word, text in words.items() for said in listed(text))
