"""Which language a text is in, told from its script, or from its frequent words and letters, which are data in text_language.toml.

A script that one language is written in tells it. Among the languages that share one, the words decide: Hindi and Arabic are known in Latin letters, too.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

#: A language is told from so many characters.
_ENOUGH = 400
_WORD = re.compile(r"[^\W\d_]+(?:['\u0300-\u036f\u0900-\u0903\u093a-\u094f\u064b-\u0652]+[^\W\d_]*)*")


def language_in(text: str) -> str:
    """The language that most of a text's words belong to; empty where none does, or two do alike."""
    begin = text[:_ENOUGH].replace("\u2019", "'").lower()
    script = _script_of(begin)
    if script:
        return script
    counted: Counter[str] = Counter()
    for said in _WORD.findall(begin):
        for language in _frequent().get(said, ()):
            counted[language] += 1
    for language, signs in _table()["signs"].items():
        counted[language] += sum(letter in signs for letter in begin)
    (language, most), (_, second) = counted.most_common(2)
    return language if most > second else ""


def is_frequent(word: str) -> bool:
    """Whether a word, in small letters and without accents, is so frequent in one of these languages that it does not say what a text is about."""
    return word in _plain()


def _script_of(text: str) -> str:
    """The language of the script that most of the letters are of; empty for the Latin one, and for those not known."""
    if text.isascii():
        return ""
    counted = Counter(_language_of(letter) for letter in text if letter.isalpha())
    latin = counted.pop("", 0)
    # Japanese and Korean are also written with Chinese signs, never the other way round.
    shared = next((language for language in ("ja", "ko") if counted[language]), "zh")
    counted[shared] += counted.pop("zh", 0)
    language, most = counted.most_common(1)[0]
    if most <= latin:
        return ""
    others = _table()["letters"].get(language, {})
    return next((other for other, signs in others.items() if any(letter in signs for letter in text)), language)


def _language_of(letter: str) -> str:
    return next((language for first, last, language in _ranges() if first <= ord(letter) <= last), "")


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))


@cache
def _frequent() -> dict[str, tuple[str, ...]]:
    """The languages in which a word is frequent."""
    found: dict[str, tuple[str, ...]] = {}
    for language, words in _table()["words"].items():
        for word in words:
            found[word] = (*found.get(word, ()), language)
    return found


@cache
def _plain() -> frozenset[str]:
    """The frequent words without accents."""
    return frozenset(
        "".join(sign for sign in unicodedata.normalize("NFKD", word) if not unicodedata.combining(sign)) for word in _frequent()
    )


@cache
def _ranges() -> tuple[tuple[int, int, str], ...]:
    """The first and the last sign of each range of signs, and its language."""
    pairs = [(pair.split("-"), language) for language, pairs in _table()["scripts"].items() for pair in pairs]
    return tuple((int(first, 16), int(last, 16), language) for (first, last), language in pairs)
