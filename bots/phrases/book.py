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

from bots.phrases.words import words_of

_FOLDER = Path(__file__).parent / "languages"
#: A run of signs without spaces, except inside brackets.
_RUN = re.compile(r"(?:[^\s()]|\([^()]*\))+")
_CHOICE = re.compile(r"\(([^()]*)\)")
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
    words: dict[str, list[Node]] = field(default_factory=dict[str, "list[Node]"])
    skips: list[Node] = field(default_factory=list["Node"])
    #: What ends here: phrases, or names of kinds.
    means: list[Meaning] = field(default_factory=list[Meaning])
    names: list[Named] = field(default_factory=list[Named])

    def after(self, words: Sequence[str]) -> Node:
        """The place that these words lead to; made where it is missing."""
        node = self
        for word in words:
            following = node.words.setdefault(word, [])
            if not following:
                following.append(Node())
            node = following[0]
        return node

    def add(self, phrase: str) -> Node:
        """Add a phrase with its choices beside those that begin here, and return the place at its end."""
        begin = node = Node()
        for run in _RUN.findall(phrase):
            end = Node()
            for words in _choices(run):
                if words:
                    last = node.after(words[:-1])
                    last.words.setdefault(words[-1], []).append(end)
                else:
                    node.skips.append(end)
            node = end
        for reached in _reached(begin):
            for word, following in reached.words.items():
                self.words.setdefault(word, []).extend(following)
        return node


@dataclass(frozen=True, slots=True)
class Book:
    """All phrases of all languages."""

    phrases: Node
    courtesy: Node
    asking: Node
    #: Names of kinds ("address"), and how they stand in a sentence ("my {}").
    names: Node
    mine: Node
    #: The words behind a slash: name of the command, and its language.
    slash: Mapping[str, tuple[Meaning, ...]]
    #: Every word that a phrase, or what may stand before one, begins with.
    firsts: frozenset[str]
    #: Every word of a phrase, and those that begin a phrase with a free end.
    all_words: frozenset[str]
    free: frozenset[str]
    #: What is said of one of the family or of the animals, in every language: "dog" -> dog, Hund, chien.
    words: Mapping[str, frozenset[tuple[str, ...]]]
    #: Which language its name means, in whichever language: "francese" -> fr.
    languages: Mapping[str, str]
    #: Words for now, and words that with one of them mean a movement: "ya baja" says that somebody comes down.
    now: frozenset[str]
    moves: frozenset[str]


@cache
def book() -> Book:
    """Read all files. Takes some milliseconds, once."""
    phrases, courtesy, asking, names, mine = Node(), Node(), Node(), Node(), Node()
    slash: dict[str, list[Meaning]] = {}
    words: dict[str, set[tuple[str, ...]]] = {}
    languages: dict[str, str] = {}
    now: set[str] = set()
    moves: set[str] = set()
    free: set[str] = set()
    for language, table in tables().items():
        for where, key in ((courtesy, "courtesy"), (asking, "asking")):
            for phrase in listed(table[key]):
                where.add(phrase).means.append(Meaning(key, language))
        for name, text in table["slash"].items():
            for word in listed(text):
                slash.setdefault(" ".join(words_of(word)), []).append(Meaning(name, language))
        for name, text in table["phrases"].items():
            for phrase in listed(text):
                if "{rest}" in phrase:
                    free.update(words[0] for words in _choices(_RUN.findall(phrase)[0]) if words)
                phrases.add(phrase.rstrip("?")).means.append(Meaning(name, language, asks=phrase.endswith("?")))
        for template in listed(table["names"]["my"]):
            mine.add(template).means.append(Meaning("my", language))
        for where, kind, word, said in _named(table):
            target = names if where == "names" else mine
            target.after(words_of(said)).names.append(Named(kind, language, word))
            if word:
                words.setdefault(word, set()).add(words_of(said))
        languages |= {" ".join(words_of(name)): language for name in [language, *listed(table["called"])]}
        now.update(words_of(table.get("now", "")))
        moves.update(words_of(table.get("moves", "")))
    every = frozenset(word for node in (phrases, courtesy, asking, names, mine) for word in _vocabulary(node))
    firsts = {*phrases.words, *courtesy.words, *asking.words, *mine.words, *(names.words if "{}" in mine.words else ())}
    return Book(
        phrases=phrases,
        courtesy=courtesy,
        asking=asking,
        names=names,
        mine=mine,
        slash={word: tuple(meanings) for word, meanings in slash.items()},
        firsts=frozenset(firsts - _SLOTS),
        all_words=every - _SLOTS,
        free=frozenset(free - _SLOTS),
        words={word: frozenset(said) for word, said in words.items()},
        languages=languages,
        now=frozenset(now),
        moves=frozenset(moves),
    )


@cache
def tables() -> Mapping[str, dict[str, Any]]:
    """The files as they are, by language."""
    return {path.stem: tomllib.loads(path.read_text("utf-8")) for path in sorted(_FOLDER.glob("*.toml"))}


def listed(text: str) -> Iterator[str]:
    """The phrases of a list."""
    return (phrase for part in text.split(";") if (phrase := part.strip()))


def _choices(run: str) -> list[tuple[str, ...]]:
    """The words that a part of a phrase may be: "(my|)" is one or none, "m'(écris|écrivez)" is two."""
    if run in _SLOTS:
        return [(run,)]
    fixed = _CHOICE.split(run)
    sides = [part.split("|") if n % 2 else [part] for n, part in enumerate(fixed)]
    return [tuple(word for part in _cut("".join(chosen)) for word in part) for chosen in itertools.product(*sides)]


def _cut(text: str) -> Iterator[tuple[str, ...]]:
    for part in text.split():
        yield (part,) if part in _SLOTS else words_of(part)


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
