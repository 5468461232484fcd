"""One language's rules and words, read from languages/XX.toml, and which language a text is in."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from bots.extract.patterns import Node, Phrases, Rest, Value, fold_pattern, following, parse, slots_of
from bots.extract.words import Word, fold

_PATTERN_WORD = re.compile(r"(?:<[^>]*>|\{[^}]*\})|([^\s()\[\]|{}<>,.]+)")
#: A second language is tried where it knows nearly as many of the words.
_NEARLY = 0.9
FOLDER = Path(__file__).parent / "languages"

#: The lists that say what a word does to the clause or sentence it stands in; languages/en.toml explains each.
_SHAPE_KEYS = frozenset({"shape", "max", "min", "cuts", "never", "but", "not_ends", "list", "commas", "proper", "uncut", "loose"})
SIGNALS = (
    "fillers", "and", "joints", "clause_words", "cuts", "stops", "articles", "negations", "questions", "questions_anywhere", "hypotheses", "hypotheses_whole", "doubts", "hearsay", "hearsay_whole",
    "jokes", "laughs", "orders", "relatives", "ages", "inside", "definite", "subjects",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How the values of some rules are bounded and checked: a table [values.X] of a language file."""

    name: str
    shape: str
    most: int
    cuts: Phrases
    never: Phrases
    not_ends: tuple[str, ...]
    #: Words that may have such an ending all the same.
    but: Phrases
    holds: Phrases | None
    #: Whether a list of things needs no "and" before the last one.
    commas: bool
    #: Whether a place must be written with a capital; whether words that cut other values may stand in this one.
    proper: bool
    uncut: bool
    #: Listed: whether other words may follow those of the list.
    loose: bool
    least: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rule:
    """What a pattern says: a fact, an end, or both."""

    number: int
    kind: str | None
    shape: Shape | None
    written_as: str
    topic: str | None
    ends: tuple[str, ...]
    ends_as: str
    anywhere: bool
    asked: bool
    day: bool
    #: Only with words such as "these days".
    lasting: bool
    #: Only directly behind a fact of such a kind.
    behind: tuple[str, ...]
    #: Holds whatever else is stated there; and is not replaced by what the same message says later.
    beside: bool
    firm: bool
    #: Nothing may follow that changes the meaning: "a dog", not "a dog phobia".
    alone: bool
    #: Falls away where the same message states another fact of its kind.
    weak: bool


@dataclass(frozen=True, slots=True)
class Ending:
    """What an ending of a word becomes."""

    text: str
    becomes: str
    is_prefix: bool

    def cut(self, word: Word) -> Word | None:
        """The word without it; None when the word has another."""
        folded, text = word.folded, word.text
        if len(folded) != len(text) or len(folded) + len(self.becomes) < len(self.text) + 2:
            return None
        if self.is_prefix:
            return (
                Word(self.becomes + text[len(self.text) :], fold(self.becomes + text[len(self.text) :]), word.is_glued)
                if folded.startswith(self.text)
                else None
            )
        if not folded.endswith(self.text):
            return None
        kept = text[: len(text) - len(self.text)] + self.becomes
        return Word(kept, fold(kept), word.is_glued)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scissors:
    """How a language cuts tokens into words: "i'm" into i am, "l'aspirine" into l' aspirine, "İzmir'e" into İzmir 'e."""

    contractions: Mapping[str, tuple[str, ...]]
    elisions: frozenset[str]
    clitics: frozenset[str]
    #: Words that are written together with the next one, which is cut off when it is a known one: Arabic "and".
    glued: tuple[str, ...] = ()
    known: set[str] = field(default_factory=set[str])

    def cut(self, words: Iterable[Word], *, glued: bool = True) -> list[Word]:
        """Cut contractions, elisions, clitics and words that are written together with others."""
        found: list[Word] = []
        for word in words:
            expanded = self.contractions.get(word.folded)
            if expanded is not None:
                found.append(Word(word.text, expanded[0], word.is_glued))
                found.extend(Word("", part, is_glued=True) for part in expanded[1:])
            elif "'" in word.folded and len(word.folded) > 1 and len(word.folded) == len(word.text):
                found.extend(self._at_apostrophe(word))
            else:
                found.extend(self._unglued(word) if glued and self.glued and word.folded.startswith(self.glued) else (word,))
        return found

    def _unglued(self, word: Word) -> tuple[Word, ...]:
        head = next(part for part in self.glued if word.folded.startswith(part))
        rest = word.folded[len(head) :]
        if word.folded in self.known or len(rest) < 2 or not (rest in self.known or rest.startswith("ال")):
            return (word,)
        return Word(word.text[: len(head)], head, word.is_glued), Word(word.text[len(head) :], rest, is_glued=True)

    def folded(self, words: Iterable[str]) -> list[str]:
        """Cut the words of a pattern in the same way."""
        return [part.folded for word in words for part in self.cut([Word(word, word)], glued=False)]

    def _at_apostrophe(self, word: Word) -> list[Word]:
        first = word.folded.index("'") + 1
        if word.folded[:first] in self.elisions and first < len(word.text):
            head = Word(word.text[:first], word.folded[:first], word.is_glued)
            return [head, Word(word.text[first:], word.folded[first:], is_glued=True)]
        last = word.folded.rindex("'")
        if word.folded[last:] in self.clitics and last:
            return [Word(word.text[:last], word.folded[:last], word.is_glued), Word(word.text[last:], word.folded[last:], is_glued=True)]
        return [word]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Language:
    """All rules and words of one language."""

    code: str
    #: By their first word, the signals that begin there: the words, whether exactly so, and the signal's name. Longest first.
    signals: Mapping[str, list[tuple[tuple[str, ...], bool, str]]]
    signal_endings: Mapping[str, str]
    lists: Mapping[str, Phrases]
    #: Patterns that begin with words, and what follows the value in those that begin with one.
    front: Node[Rule]
    #: As front, of the rules that may begin anywhere in a clause.
    anywhere: Node[Rule]
    tails: Mapping[Value, Node[Rule]]
    times: Node[str]
    #: The words that a phrase of time may begin with; it may also begin with a digit.
    time_starts: frozenset[str]
    endings: Mapping[str, tuple[Ending, ...]]
    scissors: Scissors
    #: Words that may also be read as others: 's as is.
    aliases: Mapping[str, str]
    weekdays: Mapping[str, int]
    months: Mapping[str, int]
    numbers: Mapping[str, int]


@cache
def _tables() -> Mapping[str, Mapping[str, Any]]:
    """The files as they are written."""
    tables = {path.stem: tomllib.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.toml"))}
    return {code: table for code, table in tables.items() if "values" in table}


@cache
def _weights() -> dict[str, tuple[tuple[str, float], ...]]:
    """By word: the languages whose files know it, each with the more weight the fewer they are."""
    known: dict[str, list[str]] = {}
    for code in _tables():
        for word in _vocabulary(code):
            known.setdefault(word, []).append(code)
    return {word: tuple((code, 1 / len(codes)) for code in codes) for word, codes in known.items()}


def likely(words: Iterable[str]) -> list[Language]:
    """The languages that a text may be in, the likeliest first, two at most; none where no language knows any of its words."""
    weights = _weights()
    scores: Counter[str] = Counter()
    for word in words:
        known = weights.get(word)
        parts = (word,) if known or "'" not in word else _parts(word)
        for part in parts:
            for code, weight in weights.get(part, ()):
                scores[code] += weight
    best = scores.most_common(2)
    return [language(code) for code, score in best if score >= best[0][1] * _NEARLY]


def _parts(word: str) -> tuple[str, ...]:
    """The parts of a word at its apostrophe, with it on either side: j' and habite, izmir and 'e."""
    at = word.index("'")
    return word[: at + 1], word[at + 1 :], word[:at], word[at:]


@cache
def tasks() -> Phrases:
    """What makes a message a text to work on, in any language."""
    return Phrases(entry for table in _tables().values() for entry in table.get("tasks", ()))


@cache
def _scissors(code: str) -> Scissors:
    table = _tables()[code]
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
def _vocabulary(code: str) -> frozenset[str]:
    """All words that a file knows: those of its patterns, lists and times, whole and cut."""
    table, scissors = _tables()[code], _scissors(code)
    phrases = [pattern for rule in table.get("rule", ()) for pattern in rule["patterns"]]
    phrases += [phrase for time in table.get("time", ()) for phrase in time["phrases"]]
    phrases += [
        entry.partition(">")[0]
        for name, entries in table.items()
        if isinstance(entries, list) and name != "tasks"
        for entry in entries
        if isinstance(entry, str)
    ]
    phrases += [entry for name in ("weekdays", "months") for group in table.get(name, ()) for entry in group]
    phrases += [*table.get("contractions", {}), *table.get("numbers", {})]
    written = {word.lstrip("=") for phrase in phrases for word in _PATTERN_WORD.findall(phrase) if not word.startswith("-")}
    folded = {word for piece in written for word in fold_pattern(piece)}
    return frozenset({*folded, *scissors.folded(folded)})


@cache
def language(code: str) -> Language:
    """Read a language's file."""
    table, scissors = _tables()[code], _scissors(code)
    lists = {
        name: Phrases(_named(entries, table), scissors.folded)
        for name, entries in table.items()
        if isinstance(entries, list) and entries and isinstance(entries[0], str)
    }
    numbers = {fold(word): number for word, number in table.get("numbers", {}).items()}
    lists["n"] = Phrases([*numbers, *map(str, range(1, 121))])
    shapes = {name: _shape(name, entry, lists, scissors, table) for name, entry in table.get("values", {}).items()}
    front, anywhere = Node[Rule](), Node[Rule]()
    tails: dict[Value, Node[Rule]] = {}
    for number, entry in enumerate(table.get("rule", ())):
        rule = _rule(code, number, entry, shapes)
        for pattern in entry["patterns"]:
            for element, rest in following(_checked(code, pattern, scissors, lists))[0]:
                root = anywhere if rule.anywhere else front
                if not isinstance(element, Value):
                    root.next(element).add(rest, rule)
                    continue
                elements, may_end = following(rest)
                for behind, further in elements:
                    tails.setdefault(element, Node()).next(behind).add(further, rule)
                if may_end:
                    root.next(element).add(None, rule)
    times: Node[str] = Node()
    for entry in table.get("time", ()):
        for phrase in entry["phrases"]:
            for element, rest in following(parse(phrase, scissors.folded))[0]:
                times.next(element).add(rest, entry["means"])
    weekdays, months = _numbered(table.get("weekdays", ()), 0), _numbered(table.get("months", ()), 1)
    scissors.known.update(_vocabulary(code))
    named = {first for slot in times.slots if slot.words in lists for first in lists[slot.words].by_first}
    return Language(
        code=code,
        signals=_signals(lists),
        signal_endings={ending: name for name in SIGNALS if name in lists for ending in lists[name].endings},
        lists=lists,
        front=front,
        anywhere=anywhere,
        tails=tails,
        times=times,
        time_starts=frozenset({*(word.lstrip("=") for word in times.words), *weekdays, *months, *numbers, *named}),
        endings={
            name: tuple(sorted(map(_ending, entries), key=lambda ending: -len(ending.text)))
            for name, entries in table.get("endings", {}).items()
        },
        scissors=scissors,
        aliases=table.get("aliases", {}),
        weekdays=weekdays,
        months=months,
        numbers=numbers,
    )


def _signals(lists: Mapping[str, Phrases]) -> dict[str, list[tuple[tuple[str, ...], bool, str]]]:
    found: dict[str, list[tuple[tuple[str, ...], bool, str]]] = {}
    for name in SIGNALS:
        for first, phrases in (lists[name].by_first if name in lists else {}).items():
            found.setdefault(first, []).extend((words, exact, name) for words, exact, *_ in phrases)
    for phrases in found.values():
        phrases.sort(key=lambda phrase: -len(phrase[0]))
    return found


def _named(entries: Iterable[str], table: Mapping[str, Any]) -> Iterator[str]:
    """The entries, where <list> stands for all entries of a list of the file."""
    for entry in entries:
        if entry.startswith("<"):
            yield from _named(table[entry[1:-1]], table)
        else:
            yield entry


def _shape(name: str, entry: Mapping[str, Any], lists: Mapping[str, Phrases], scissors: Scissors, table: Mapping[str, Any]) -> Shape:
    unknown = set(entry) - _SHAPE_KEYS
    if unknown:
        raise ValueError(f"values.{name} has {unknown}")
    phrases = {key: Phrases(_named(entry.get(key, ()), table), scissors.folded) for key in ("cuts", "never", "but")}
    return Shape(
        name=name,
        shape=entry["shape"],
        most=entry.get("max", 6),
        **phrases,
        not_ends=tuple(fold(ending).lstrip("-") for ending in _named(entry.get("not_ends", ()), table)),
        holds=lists[entry["list"]] if "list" in entry else None,
        commas=entry.get("commas", False),
        proper=entry.get("proper", False),
        uncut=entry.get("uncut", False),
        loose=entry.get("loose", False),
        least=entry.get("min", 1),
    )


def _rule(code: str, number: int, entry: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Rule:
    unknown = set(entry) - {
        "kind",
        "value",
        "as",
        "topic",
        "ends",
        "ends_as",
        "anywhere",
        "asked",
        "day",
        "lasting",
        "behind",
        "beside",
        "firm",
        "alone",
        "weak",
        "patterns",
    }
    if unknown or not ("kind" in entry or "ends" in entry):
        raise ValueError(f"{code}: rule {number + 1} has {unknown or 'neither kind nor ends'}")
    return Rule(
        number=number,
        kind=entry.get("kind"),
        shape=shapes[entry["value"]] if "value" in entry else None,
        written_as=entry.get("as", "{}"),
        topic=entry.get("topic"),
        ends=_tuple(entry.get("ends", ())),
        ends_as=entry.get("ends_as", ""),
        anywhere=entry.get("anywhere", False),
        asked=entry.get("asked", False),
        day=entry.get("day", False),
        lasting=entry.get("lasting", False),
        behind=_tuple(entry.get("behind", ())),
        beside=entry.get("beside", False),
        firm=entry.get("firm", False),
        alone=entry.get("alone", False),
        weak=entry.get("weak", False),
    )


def _tuple(entry: str | Sequence[str]) -> tuple[str, ...]:
    return (entry,) if isinstance(entry, str) else tuple(entry)


def _checked(code: str, pattern: str, scissors: Scissors, lists: Mapping[str, Phrases]) -> Rest | None:
    rest = parse(pattern, scissors.folded)
    for slot in slots_of(rest):
        if slot.words not in lists:
            raise ValueError(f"{code}: {pattern!r} names the unknown list {slot.words!r}")
    return rest


def _ending(entry: str) -> Ending:
    text, _, becomes = entry.partition(">")
    if text.endswith("-"):
        return Ending(fold(text[:-1]), becomes.rstrip("-"), is_prefix=True)
    return Ending(fold(text.lstrip("-")), becomes.lstrip("-"), is_prefix=False)


def _numbered(groups: Sequence[Sequence[str]], first: int) -> dict[str, int]:
    return {fold(word): number for number, group in enumerate(groups, first) for word in group}
