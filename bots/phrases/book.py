"""The phrases of all languages as one tree of words, made from the files in bots/phrases/languages."""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from bots.phrases.words import words_of

_FOLDER = Path(__file__).parent / "languages"
_CHOICE = re.compile(r"\(([^()]*)\)")


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
    """A place in the tree: the words that lead on from here, and what ends here."""

    words: dict[str, Node] = field(default_factory=dict[str, "Node"])
    means: list[Meaning] = field(default_factory=list[Meaning])
    names: list[Named] = field(default_factory=list[Named])
    #: Where the name of a kind, or any words, lead on.
    my: Node | None = None
    rest: Node | None = None

    def at(self, words: tuple[str, ...]) -> Node:
        """The place that these words lead to, made where it is missing."""
        node = self
        for word in words:
            if word == "{my}":
                node.my = node = node.my or Node()
            elif word == "{rest}":
                node.rest = node = node.rest or Node()
            else:
                node = node.words.setdefault(word, Node())
        return node


@dataclass(frozen=True, slots=True)
class Book:
    """All phrases of all languages."""

    phrases: Node
    courtesy: Node
    asking: Node
    #: Names of kinds as they stand in a sentence ("my address"), and bare ones as well ("address").
    mine: Node
    names: Node
    #: The words behind a slash: name of the command, and its language.
    slash: Mapping[str, tuple[Meaning, ...]]
    #: Every word that a phrase, or what may stand before one, begins with.
    firsts: frozenset[str]
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
    phrases, courtesy, asking, mine, names = Node(), Node(), Node(), Node(), Node()
    slash: dict[str, list[Meaning]] = {}
    words: dict[str, set[tuple[str, ...]]] = {}
    languages: dict[str, str] = {}
    now: set[str] = set()
    moves: set[str] = set()
    for language, table in tables().items():
        for phrase in expanded(table["courtesy"]):
            courtesy.at(words_of(phrase)).means.append(Meaning("courtesy", language))
        for phrase in expanded(table["asking"]):
            asking.at(words_of(phrase)).means.append(Meaning("asking", language))
        for name, text in table["slash"].items():
            for word in expanded(text):
                slash.setdefault(" ".join(words_of(word)), []).append(Meaning(name, language))
        for name, text in table["phrases"].items():
            for phrase in expanded(text):
                phrases.at(_slotted(phrase)).means.append(Meaning(name, language, asks=phrase.endswith("?")))
        for kind, word, said in _named(table):
            named = Named(kind, language, word)
            names.at(words_of(said)).names.append(named)
            for template in expanded(table["names"]["my"]):
                for where in (mine, names):
                    where.at(words_of(template.replace("{}", said))).names.append(named)
            if word:
                words.setdefault(word, set()).add(words_of(said))
        for kind, word, said in _named(table, "my_"):
            for where in (mine, names):
                where.at(words_of(said)).names.append(Named(kind, language, word))
            if word:
                words.setdefault(word, set()).add(words_of(said))
        languages |= {" ".join(words_of(name)): language for name in [language, *expanded(table["called"])]}
        now.update(table.get("now", "").split())
        moves.update(table.get("moves", "").split())
    firsts = frozenset([*phrases.words, *courtesy.words, *asking.words, *mine.words])
    return Book(
        phrases=phrases,
        courtesy=courtesy,
        asking=asking,
        mine=mine,
        names=names,
        slash={word: tuple(meanings) for word, meanings in slash.items()},
        firsts=firsts,
        words={word: frozenset(said) for word, said in words.items()},
        languages=languages,
        now=frozenset(now),
        moves=frozenset(moves),
    )


@cache
def tables() -> Mapping[str, dict[str, Any]]:
    """The files as they are, by language."""
    return {path.stem: tomllib.loads(path.read_text("utf-8")) for path in sorted(_FOLDER.glob("*.toml"))}


def expanded(text: str) -> Iterator[str]:
    """Each phrase of a list with each of its choices: "(my|the) tea; milk" is three."""
    for phrase in text.split(";"):
        if phrase.strip():
            fixed = _CHOICE.split(phrase.strip())
            choices = [part.split("|") if n % 2 else [part] for n, part in enumerate(fixed)]
            yield from (" ".join("".join(chosen).split()) for chosen in itertools.product(*choices))


def _slotted(phrase: str) -> tuple[str, ...]:
    return tuple(word for part in phrase.split() for word in ([part.rstrip("?")] if part.startswith("{") else words_of(part)))


def _named(table: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Each name of a kind, and each word for a part of one: (kind, word, as it is said). prefix "my_": the names that say already whose it is."""
    for kind, text in table.get(f"{prefix}names", {}).items():
        if kind != "my":
            yield from ((kind, "", said) for said in expanded(text))
    for kind, words in table.get(f"{prefix}words", {}).items():
        yield from ((kind, word, said) for word, text in words.items() for said in expanded(text))
