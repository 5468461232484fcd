"""The rules of each language, read from languages/*.toml and indexed by the first word of each lead. No rule is a regular expression."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, reduce
from pathlib import Path
from typing import Any

from bots.extract.words import Word, fold, split_words

_FOLDER = Path(__file__).parent / "languages"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lexicon:
    """Words and phrases. One with accents matches only with them; one without matches any accents, unless the list is exact."""

    plain: frozenset[tuple[str, ...]]
    exact: frozenset[tuple[str, ...]]
    longest: int
    #: The first words of all phrases; most words are not among them.
    firsts: frozenset[str]

    def length_at(self, words: Sequence[Word], at: int) -> int:
        """The number of words in the longest phrase that starts here; 0 when none does."""
        if not self._begins(words[at]):
            return 0
        for length in range(min(self.longest, len(words) - at), 0, -1):
            window = words[at : at + length]
            if tuple(word.folded for word in window) in self.plain or tuple(word.text.lower() for word in window) in self.exact:
                return length
        return 0

    def holds(self, word: Word) -> bool:
        """Whether this single word is in the list."""
        return self._begins(word) and ((word.folded,) in self.plain or (word.text.lower(),) in self.exact)

    def _begins(self, word: Word) -> bool:
        # The folded form of a word without accents is the word itself in lower case.
        return word.folded in self.firsts or (not word.text.isascii() and word.text.lower() in self.firsts)

    def joined(self, other: Lexicon) -> Lexicon:
        """Return both lists as one."""
        return Lexicon(
            plain=self.plain | other.plain,
            exact=self.exact | other.exact,
            longest=max(self.longest, other.longest),
            firsts=self.firsts | other.firsts,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A lead, what kind of fact follows it, and how the value is checked."""

    kind: str
    check: str
    lead: tuple[str, ...]
    #: "{}" stands for the value, a <slot> for the word in its position.
    value: str
    language: Language


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Language:
    """All rules and words of one language."""

    code: str
    words: dict[str, Lexicon]
    #: Matched with any accents: names of languages, trades, relations, animals.
    folded: dict[str, frozenset[str]]


_FOLDED = (
    "languages", "occupations", "trades", "trade_endings", "not_trades", "mock_trades", "family", "families", "pet", "pets", "number", "things", "not_names", "names",
    "word_endings", "not_places", "state_endings", "not_states", "not_tastes",
)  # fmt: skip
_WORDS = (
    "fillers", "conjunctions", "clause_words", "question_starts", "framings", "hypotheticals", "hypothetical_starts", "tasks", "negations", "cuts", "taste_cuts",
    "articles", "stops",
)  # fmt: skip
#: Short words that become other words without their accents: té and te, é and e.
_EXACT = frozenset({"conjunctions", "clause_words", "negations", "articles", "stops"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """All languages together."""

    languages: tuple[Language, ...]
    #: By the first word of the lead, then by the second; "" is for leads whose second word is a slot or missing. Longest lead first.
    by_lead: dict[str, dict[str, tuple[Rule, ...]]]
    #: The word lists of all languages as one.
    any_language: dict[str, Lexicon]

    def any_length_at(self, name: str, words: Sequence[Word], at: int) -> int:
        """The length of the longest phrase of this list, in any language, that starts here."""
        lexicon = self.any_language[name]
        word = words[at]
        # Most words begin no phrase; checking that here avoids the calls.
        return 0 if word.folded not in lexicon.firsts and word.text.isascii() else lexicon.length_at(words, at)

    def any_holds(self, name: str, words: Iterable[Word]) -> bool:
        """Whether any of the words is in this list of any language."""
        lexicon = self.any_language[name]
        firsts = lexicon.firsts
        return any((word.folded in firsts or not word.text.isascii()) and lexicon.holds(word) for word in words)

    def leads_at(self, words: Sequence[Word], at: int) -> list[tuple[Rule, int, dict[str, str]]]:
        """The rules whose lead starts here, longest first, with the lead's length and the words in its slots."""
        by_second = self.by_lead.get(words[at].folded)
        if by_second is None:
            return []
        found: list[tuple[Rule, int, dict[str, str]]] = []
        second = words[at + 1].folded if at + 1 < len(words) else ""
        for rule in by_second.get(second) or by_second[""]:
            slots = _match(rule, words, at)
            if slots is not None:
                found.append((rule, len(rule.lead), slots))
        return found


@cache
def load() -> Rules:
    """Read the rules that ship."""
    languages: list[Language] = []
    index: dict[str, list[Rule]] = {}
    for path in sorted(_FOLDER.glob("*.toml")):
        table: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
        language = Language(
            code=path.stem,
            words={name: _lexicon(table[name], exact=name in _EXACT) for name in _WORDS},
            folded={name: frozenset(fold(word) for word in table[name]) for name in _FOLDED},
        )
        languages.append(language)
        for entry in table["rule"]:
            for lead in entry["leads"]:
                rule = Rule(kind=entry["kind"], check=entry["check"], lead=_lead(lead), value=entry.get("value", "{}"), language=language)
                index.setdefault(rule.lead[0], []).append(rule)
    return Rules(
        languages=tuple(languages),
        any_language={name: reduce(Lexicon.joined, (language.words[name] for language in languages)) for name in _WORDS},
        by_lead={first: _by_second(rules) for first, rules in index.items()},
    )


def _by_second(rules: Sequence[Rule]) -> dict[str, tuple[Rule, ...]]:
    """Index rules with the same first word by their second; each entry also has the rules that take any second word."""
    ordered = sorted(rules, key=lambda rule: -len(rule.lead))
    seconds = {rule: rule.lead[1] if len(rule.lead) > 1 and not rule.lead[1].startswith("<") else "" for rule in ordered}
    return {second: tuple(rule for rule in ordered if seconds[rule] in ("", second)) for second in {"", *seconds.values()}}


def _lead(text: str) -> tuple[str, ...]:
    parts: list[str] = []
    for piece in text.replace("<", " <").replace(">", "> ").split():
        if piece.startswith("<"):
            parts.append(piece)
        else:
            parts.extend(word.folded for word in split_words(piece)) if piece != "'s" else parts.append("'s")
    return tuple(parts)


def _match(rule: Rule, words: Sequence[Word], at: int) -> dict[str, str] | None:
    if at + len(rule.lead) > len(words):
        return None
    slots: dict[str, str] = {}
    for wanted, word in zip(rule.lead, words[at:], strict=False):
        if wanted.startswith("<"):
            if word.folded not in rule.language.folded[wanted[1:-1]]:
                return None
            slots[wanted] = word.text.lower()
        elif wanted != word.folded:
            return None
    return slots


def _lexicon(entries: Sequence[str], *, exact: bool) -> Lexicon:
    phrases = [tuple(entry.lower().split()) for entry in entries]
    plain = frozenset(phrase for phrase in phrases if not exact and fold(" ".join(phrase)) == " ".join(phrase))
    return Lexicon(
        plain=plain,
        exact=frozenset(phrases) - plain,
        longest=max(len(phrase) for phrase in phrases),
        firsts=frozenset(phrase[0] for phrase in phrases),
    )
