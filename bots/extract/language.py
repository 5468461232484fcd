"""A language as its file gives it: its rules in tries, its word lists, its phrases of time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from bots.extract import files
from bots.extract.patterns import Node, Phrases, Rest, Value, following, parse, slots_of
from bots.extract.rules import Rule, rule, shape
from bots.extract.scissors import Ending, Scissors, ending
from bots.extract.words import fold

#: The lists that say what a word does to the clause or sentence it stands in; languages/README.md explains each.
SIGNALS = (
    "fillers", "and", "joints", "clause_words", "cuts", "stops", "articles", "negations", "questions", "questions_anywhere", "hypotheses", "hypotheses_whole", "doubts", "hearsay", "hearsay_whole",
    "jokes", "laughs", "orders", "relatives", "ages", "inside", "definite", "subjects", "needs_subject", "quoting", "strangers", "sent_by", "instead", "bound",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Language:
    """All rules and words of one language."""

    code: str
    #: By their first word, the signals that begin there: the words, whether exactly so, and the signal's name. Longest first.
    signals: Mapping[str, list[tuple[tuple[str, ...], bool, str]]]
    #: The same of single words, whatever their case; and of all others, by their second word, which is empty where there is none.
    alone: Mapping[str, Mapping[str, int]]
    longer: Mapping[str, Mapping[str, list[tuple[tuple[str, ...], bool, str]]]]
    signal_endings: Mapping[str, str]
    #: How long these endings are.
    ending_lengths: Sequence[int]
    lists: Mapping[str, Phrases]
    #: By word, the lists in which an entry begins with it, and those that any word may be in, by its ending.
    listed: Mapping[str, frozenset[str]]
    by_ending: frozenset[str]
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
    #: The word that a sentence may leave out at its beginning: I.
    first_subject: str | None
    weekdays: Mapping[str, int]
    months: Mapping[str, int]
    numbers: Mapping[str, int]


@cache
def language(code: str) -> Language:
    """Read a language's file."""
    table, scissors = files.tables()[code], files.scissors(code)
    lists = {name: Phrases(files.named(entries, table), scissors.folded) for name, entries in files.lists(table)}
    numbers = {fold(word): number for word, number in table.get("numbers", {}).items()}
    lists["n"] = Phrases([*numbers, *map(str, range(1, 121))])
    shapes = {name: shape(name, entry, lists, scissors, table) for name, entry in table.get("values", {}).items()}
    front, anywhere = Node[Rule](), Node[Rule]()
    tails: dict[Value, Node[Rule]] = {}
    for number, entry in enumerate(table.get("rule", ())):
        read = rule(code, number, entry, shapes)
        for pattern in entry["patterns"]:
            for element, rest in following(_checked(code, pattern, scissors, lists))[0]:
                root = anywhere if read.anywhere else front
                if not isinstance(element, Value):
                    root.next(element).add(rest, read)
                    continue
                elements, may_end = following(rest)
                for behind, further in elements:
                    tails.setdefault(element, Node()).next(behind).add(further, read)
                if may_end:
                    root.next(element).add(None, read)
    times: Node[str] = Node()
    for entry in table.get("time", ()):
        for phrase in entry["phrases"]:
            for element, rest in following(parse(phrase, scissors.folded))[0]:
                times.next(element).add(rest, entry["means"])
    weekdays, months = _numbered(table.get("weekdays", ()), 0), _numbered(table.get("months", ()), 1)
    scissors.known.update(files.vocabulary(code))
    signals, by_ending = _signals(lists), frozenset(name for name, phrases in lists.items() if phrases.endings)
    signal_endings = {cut: name for name in SIGNALS if name in lists for cut in lists[name].endings}
    named = {first for slot in times.slots if slot.words in lists for first in lists[slot.words].by_first}
    return Language(
        code=code,
        signals=signals,
        alone={
            word: _lengths(frozenset(name for phrase, exact, name in found if _is_alone(phrase, exact=exact)))
            for word, found in signals.items()
        },
        longer=_longer(signals),
        signal_endings=signal_endings,
        ending_lengths=sorted({len(cut) for cut in signal_endings}),
        lists=lists,
        listed=_listed(lists, by_ending),
        by_ending=by_ending,
        front=front,
        anywhere=anywhere,
        tails=tails,
        times=times,
        time_starts=frozenset({*(word.lstrip("=") for word in times.words), *weekdays, *months, *numbers, *named}),
        endings={
            name: tuple(sorted(map(ending, entries), key=lambda cut: -len(cut.text))) for name, entries in table.get("endings", {}).items()
        },
        scissors=scissors,
        aliases=table.get("aliases", {}),
        first_subject=next(iter(lists["subjects"].by_first), None) if "subjects" in lists else None,
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


def _is_alone(phrase: Sequence[str], *, exact: bool) -> bool:
    return len(phrase) == 1 and not exact


def _longer(
    signals: Mapping[str, list[tuple[tuple[str, ...], bool, str]]],
) -> dict[str, dict[str, list[tuple[tuple[str, ...], bool, str]]]]:
    longer: dict[str, dict[str, list[tuple[tuple[str, ...], bool, str]]]] = {}
    for word, found in signals.items():
        for phrase, exact, name in found:
            if not _is_alone(phrase, exact=exact):
                second = fold(phrase[1]) if len(phrase) > 1 else ""
                longer.setdefault(word, {}).setdefault(second, []).append((phrase, exact, name))
    return longer


def _listed(lists: Mapping[str, Phrases], by_ending: frozenset[str]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for name, phrases in lists.items():
        for first in phrases.by_first:
            found.setdefault(first, set(by_ending)).add(name)
    # Most words are in the same few lists: the sets are shared.
    shared: dict[frozenset[str], frozenset[str]] = {}
    return {word: shared.setdefault(names, names) for word, names in ((word, frozenset(names)) for word, names in found.items())}


@cache
def _lengths(names: frozenset[str]) -> Mapping[str, int]:
    """These signals, each of one word; shared by all words that give the same."""
    return dict.fromkeys(names, 1)


def _checked(code: str, pattern: str, scissors: Scissors, lists: Mapping[str, Phrases]) -> Rest | None:
    rest = parse(pattern, scissors.folded)
    for slot in slots_of(rest):
        if slot.words not in lists:
            raise ValueError(f"{code}: {pattern!r} names the unknown list {slot.words!r}")
    return rest


def _numbered(groups: Sequence[Sequence[str]], first: int) -> dict[str, int]:
    return {fold(word): number for number, group in enumerate(groups, first) for word in group}
