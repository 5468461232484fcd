"""The language files as they are written, the words that each of them knows, and which language a text is in."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast

from bots.extract.patterns import Phrases, fold_pattern
from bots.extract.scissors import Scissors
from bots.extract.words import fold

_FOLDER = Path(__file__).parent / "languages"
_PATTERN_WORD = re.compile(r"(?:<[^>]*>|\{[^}]*\})|([^\s()\[\]|{}<>,.]+)")
#: A second language is tried where it knows nearly as many of the words.
_NEARLY = 0.6


@cache
def tables() -> Mapping[str, Mapping[str, Any]]:
    """The files as they are written."""
    return {path.stem: tomllib.loads(path.read_text("utf-8")) for path in sorted(_FOLDER.glob("*.toml"))}


@cache
def _weights() -> dict[str, tuple[tuple[str, float], ...]]:
    """By word: the languages whose files know it, each with the more weight the fewer they are."""
    known: dict[str, list[str]] = {}
    for code in tables():
        for word in vocabulary(code):
            known.setdefault(word, []).append(code)
    return {word: tuple((code, len(codes) ** -0.5) for code in codes) for word, codes in known.items()}


def likely(words: Iterable[str]) -> list[str]:
    """The languages that a text may be in, the likeliest first, two at most; none where no language knows any of its words."""
    weights = _weights()
    scores: dict[str, float] = {}
    for word in words:
        known = weights.get(word)
        parts = (word,) if known or "'" not in word else _parts(word)
        for part in parts:
            for code, weight in weights.get(part, ()):
                scores[code] = scores.get(code, 0.0) + weight
    best = sorted(scores.items(), key=lambda scored: -scored[1])[:2]
    return [code for code, score in best if score >= best[0][1] * _NEARLY]


def _parts(word: str) -> tuple[str, ...]:
    """The parts of a word at its apostrophe, with it on either side: j' and habite, izmir and 'e."""
    at = word.index("'")
    return word[: at + 1], word[at + 1 :], word[:at], word[at:]


@cache
def tasks() -> Phrases:
    """What makes a message a text to work on, in any language."""
    return Phrases(entry for table in tables().values() for entry in table.get("tasks", ()))


@cache
def scissors(code: str) -> Scissors:
    """How a language cuts words."""
    table = tables()[code]
    return Scissors(
        contractions={
            fold(short): tuple(word for piece in long.split() for word in fold_pattern(piece))
            for short, long in table.get("contractions", {}).items()
        },
        elisions=frozenset(fold(entry) for entry in table.get("elisions", ())),
        clitics=frozenset(fold(entry) for entry in table.get("clitics", ())),
        glued=tuple(fold(entry) for entry in table.get("glued", ())),
    )


@cache
def vocabulary(code: str) -> frozenset[str]:
    """All words that a file knows: those of its patterns, lists and times, whole and cut. Names belong to no language."""
    table = tables()[code]
    names = {entry[1:-1] for shape in table["values"].values() for entry in shape.get("but", ()) if entry.startswith("<")}
    phrases = [pattern for rule in table["rule"] for pattern in rule["patterns"]]
    phrases += [phrase for time in table.get("time", ()) for phrase in time["phrases"]]
    for name, entries in lists(table):
        if name not in names and name != "tasks":
            phrases += [entry.partition(">")[0] for entry in entries]
    phrases += [entry for name in ("weekdays", "months") for group in table.get(name, ()) for entry in group]
    phrases += [*table.get("contractions", {}), *table.get("numbers", {})]
    written = {word.lstrip("=") for phrase in phrases for word in _PATTERN_WORD.findall(phrase) if not word.startswith("-")}
    folded = {word for piece in written for word in fold_pattern(piece) if any(letter.isalnum() for letter in word)}
    return frozenset({*folded, *scissors(code).folded(folded)})


def lists(table: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """The word lists of a file."""
    for name, entries in table.items():
        found = cast("list[Any]", entries) if isinstance(entries, list) else []
        if found and all(isinstance(entry, str) for entry in found):
            yield name, found


def named(entries: Iterable[str], table: Mapping[str, Any]) -> Iterator[str]:
    """The entries, where <list> stands for all entries of a list of the file."""
    for entry in entries:
        if entry.startswith("<"):
            yield from named(table[entry[1:-1]], table)
        else:
            yield entry
