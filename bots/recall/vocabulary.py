"""The words that recall reads by, for each language (words.toml), and how a text is split into words."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

#: Letters and digits, with the marks that scripts such as Devanagari write vowels as.
_MARKS = "".join(re.escape(chr(n)) for n in range(0x300, 0x10000) if unicodedata.category(chr(n)) in ("Mn", "Mc"))
_WORD = re.compile(rf"(?:[^\W_]|[{_MARKS}])+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """The words of one language; words.toml says what each is for."""

    config: str
    stop: frozenset[str]
    first: frozenset[str]
    second: frozenset[str]
    when: tuple[str, ...]
    asks: tuple[str, ...]
    past: tuple[str, ...]
    #: Endings of words.
    past_endings: tuple[str, ...]
    time: tuple[str, ...]
    #: A month's or weekday's number for each spelling; months from 1, weekdays from 0.
    months: Mapping[str, int]
    unsure: frozenset[str]
    before: frozenset[str]
    weekdays: Mapping[str, int]
    today: tuple[str, ...]
    yesterday: tuple[str, ...]
    last_week: tuple[str, ...]
    last_month: tuple[str, ...]
    last_year: tuple[str, ...]
    #: The longest first.
    small_talk: tuple[str, ...]


def words_of(text: str) -> list[str]:
    """The words of a text in small letters; an apostrophe ends one."""
    return _WORD.findall(unicodedata.normalize("NFC", text.replace("İ", "i")).lower())


def count(phrases: Sequence[str], words: Sequence[str]) -> int:
    """How often one of these phrases stands in the words."""
    line = f" {'  '.join(words)} "
    return sum(line.count(_apart(phrase)) for phrase in phrases if phrase in line or " " in phrase)


@cache
def _apart(phrase: str) -> str:
    """A phrase of a language as it stands in such a line."""
    return f" {phrase.replace(' ', '  ')} "


@cache
def vocabulary(language: str) -> Vocabulary | None:
    """The words of a language; None for those that words.toml does not have."""
    table = _tables().get(language)
    if table is None:
        return None
    months, weekdays, unsure = _numbers(table["months"], first=1), _numbers(table["weekdays"], first=0), frozenset(table["unsure"])
    return Vocabulary(
        config=str(table["config"]),
        stop=frozenset(table.get("stop", ())),
        first=frozenset(table["first"]),
        second=frozenset(table["second"]),
        when=tuple(table["when"]),
        asks=tuple(table["asks"]),
        past=tuple(one for one in table["past"] if one[0] != "-"),
        past_endings=tuple(one[1:] for one in table["past"] if one[0] == "-"),
        time=(*table["time"], *(name for name in (*months, *weekdays) if name not in unsure)),
        months=months,
        unsure=unsure,
        before=frozenset(table["before"]),
        weekdays=weekdays,
        today=tuple(table["today"]),
        yesterday=tuple(table["yesterday"]),
        last_week=tuple(table["last_week"]),
        last_month=tuple(table["last_month"]),
        last_year=tuple(table["last_year"]),
        small_talk=tuple(sorted(table["small_talk"], key=lambda phrase: -len(phrase))),
    )


def languages() -> tuple[str, ...]:
    """The languages of words.toml."""
    return tuple(_tables())


@cache
def _tables() -> Mapping[str, Mapping[str, list[str]]]:
    return tomllib.loads(Path(__file__).with_name("words.toml").read_text("utf-8"))


def _numbers(spellings: Sequence[str], *, first: int) -> Mapping[str, int]:
    return {one: n for n, several in enumerate(spellings, first) for one in several.split("|")}
