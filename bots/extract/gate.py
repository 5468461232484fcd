"""The last check before a fact is stored, whatever proposed it: known kinds, short plain values, nothing that could steer an answer."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from dataclasses import replace
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from bots.domain import Fact
from bots.extract.words import fold
from bots.kinds import kinds

MAX_VALUE_CHARACTERS = 200
MAX_WORD_CHARACTERS = 40
#: Two dates or hours have eight; a card or an account has more.
MAX_DIGITS = 8

#: Marks allowed in a name, a place or a taste besides letters, digits and spaces. No quotes, brackets of any kind, colons or pipes.
_MARKS = frozenset("'’-.,&+/#")
_ADDRESS = re.compile(r"www\.|//|[^\W\d_]\.[^\W_]{2,}|\d\.\d+\.\d|##")
#: The only colon that is no label: "14:30".
_CLOCK = re.compile(r"(?<=\d):(?=\d\d(?!\d))")
#: A part of a card, an account or a key: many digits at once, or digits and letters mixed in a long word.
_CODE = re.compile(r"\d{5,}|(?=\S*\d)(?=\S*[a-z])(?=\S*[A-Z])\S{8,}|(?=[A-Z]*\d)[A-Z\d]{12,}")
#: What is between words. Letters with vowel signs are one word, which \w would take apart.
_BETWEEN = re.compile(r"[ '\u2019.,&+/#:-]+")
_ARABIC_AND = "\u0648\u0641"
#: A word that is spelt out has at least so many letters.
_SPELT = 4


def admit(fact: Fact) -> Fact | None:
    """Return the fact in its normal form, or None when it must not be stored."""
    value = " ".join(unicodedata.normalize("NFKC", fact.value).split())
    if why_refused(fact.kind, value) is not None:
        return None
    return replace(fact, value=value, topic="" if kinds()[fact.kind].single else fact.topic)


def why_refused(kind: str, value: str) -> str | None:  # noqa: PLR0911 - one return for each reason
    """Return the first reason to refuse a value, without quoting it; None when there is none."""
    if kind not in kinds():
        return "unknown kind"
    words = _words(value)
    if not value or len(value) > MAX_VALUE_CHARACTERS or any(len(word) > MAX_WORD_CHARACTERS for word in words):
        return "length"
    if not all(_is_plain(letter) for letter in _CLOCK.sub("", value)):
        return "characters"
    if not any(letter.isalpha() for letter in value) or _mixes_scripts(value):
        return "not words"
    if _ADDRESS.search(value.casefold()):
        return "address"
    if sum(letter.isdigit() for letter in value) > MAX_DIGITS or _CODE.search(value):
        return "number"
    if any(letter.isdigit() for letter in value) and not _secrets().isdisjoint(words):
        return "a secret"
    return None if _forbidden(kind).isdisjoint(words) else "not about the person"


def _words(value: str) -> list[str]:
    """The words of a value, also those that are spelt out ("o b e y"), and without an Arabic "and" that is written in one with them."""
    words = [word for word in _BETWEEN.split(fold(value)) if word]
    words += [word[1:] for word in words if word[0] in _ARABIC_AND]
    spelt = ("".join(run) for single, run in groupby(words, key=lambda word: len(word) == 1) if single)
    return [*words, *(word for word in spelt if len(word) >= _SPELT)]


def _is_plain(letter: str) -> bool:
    return letter == " " or letter in _MARKS or unicodedata.category(letter)[0] in "LMN"


def _mixes_scripts(value: str) -> bool:
    """Whether a word mixes Latin with other letters, which is a disguise, such as "admin" spelt with a Cyrillic a."""
    if value.isascii():
        return False
    for word in value.split():
        scripts = {unicodedata.name(letter, "?").split(" ")[0] for letter in word if letter.isalpha()}
        if "LATIN" in scripts and len(scripts) > 1:
            return True
    return False


@cache
def _forbidden(kind: str) -> frozenset[str]:
    """The words that no value of a kind may hold."""
    table = _table()
    allowed = table.pop("allowed").get(kind, ())
    del table["with_digits"]
    return frozenset(fold(word) for words in table.values() for word in words) - {fold(word) for word in allowed}


@cache
def _secrets() -> frozenset[str]:
    """The words that no value with a digit may hold."""
    return frozenset(fold(word) for word in _table()["with_digits"])


def _table() -> dict[str, Any]:
    return tomllib.loads((Path(__file__).parent / "forbidden.toml").read_text("utf-8"))
