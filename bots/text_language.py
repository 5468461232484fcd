"""Which language a text is in, told from its script, or from its frequent words and letters, which are data in text_language.toml.

A script that one language is written in tells it. Among the languages that share one, the words decide: Hindi and Arabic are known in Latin letters, too.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections import Counter
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

#: A language is told from so many characters.
_ENOUGH = 400
_WORD = re.compile(r"[^\W\d_]+(?:['\u0300-\u036f\u0900-\u0903\u093a-\u094f\u064b-\u0652]+[^\W\d_]*)*")
_FOREIGN, _LATIN = re.compile(r"[^\x00-\x7f]"), re.compile("[a-z]")


@lru_cache(maxsize=64)
def language_in(text: str) -> str:
    """The language that most of a text's words belong to; empty where none does, or two do alike. A turn asks several times of the same text."""
    begin = text[:_ENOUGH].replace("\u2019", "'").lower()
    script = _script_of(begin)
    if script:
        return script
    counted, frequent, signs = dict[str, int](), _frequent(), _signs()
    for said in _WORD.findall(begin):
        for language in frequent.get(said, ()):
            counted[language] = counted.get(language, 0) + 1
    for letter in begin if not begin.isascii() else "":
        for language in signs.get(letter, ()):
            counted[language] = counted.get(language, 0) + 1
    most = max(counted.values(), default=0)
    best = [language for language, count in counted.items() if count == most]
    return best[0] if len(best) == 1 else ""


def is_frequent(word: str) -> bool:
    """Whether a word, in small letters and without accents, is so frequent in one of these languages that it does not say what a text is about."""
    return word in _plain()


def _script_of(text: str) -> str:
    """The language of the script that most of the letters are of; empty for the Latin one, and for those not known."""
    if text.isascii():
        return ""
    counted = Counter(_language_of(letter) for letter in _FOREIGN.findall(text) if letter.isalpha())
    latin = counted.pop("", 0)
    if not counted:
        return ""
    latin += len(_LATIN.findall(text))
    # Japanese and Korean are also written with Chinese signs, never the other way round.
    shared = next((language for language in ("ja", "ko") if counted[language]), "zh")
    counted[shared] += counted.pop("zh", 0)
    language, most = counted.most_common(1)[0]
    if most <= latin:
        return ""
    others = _table()["letters"].get(language, {})
    return next((other for other, signs in others.items() if any(letter in signs for letter in text)), language)


@lru_cache(maxsize=8192)
def _language_of(letter: str) -> str:
    return next((language for first, last, language in _ranges() if first <= ord(letter) <= last), "")


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))


@cache
def _signs() -> dict[str, tuple[str, ...]]:
    """The languages that a letter is a sign of. None of these letters is in ASCII."""
    found: dict[str, tuple[str, ...]] = {}
    for language, signs in _table()["signs"].items():
        for letter in signs:
            found[letter] = (*found.get(letter, ()), language)
    return found


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
