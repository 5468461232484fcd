"""A text as the words that phrases are compared by: lower case, without accents, apostrophes and everything that is no letter or digit."""

from __future__ import annotations

import re
import unicodedata

#: Vowel signs and marks that belong to a word, though they are no letters: of Devanagari and Arabic, and accents that stand apart.
_SIGNS = "\u0300-\u036f\u0640\u064b-\u065f\u0670\u0900-\u0903\u093a-\u094f\u0951-\u0957\u0962\u0963"
_WORD = re.compile(rf"(?:[^\W_]|[{_SIGNS}])+(?:['\u2019\u02bc](?:[^\W_]|[{_SIGNS}])+)*")
_APOSTROPHES = str.maketrans("", "", "'\u2019\u02bc\u0640")
#: Letters that people write for each other, or that fold to nothing by themselves.
_ALIKE = str.maketrans({"ı": "i", "ø": "o", "ł": "l", "đ": "d", "ة": "ه", "ى": "ي", "ی": "ي", "ک": "ك", "ٱ": "ا"})

first_word = _WORD.search


def fold(word: str) -> str:
    """A word as it is compared."""
    if not word.isascii():
        word = unicodedata.normalize("NFD", word.casefold())
        word = "".join(sign for sign in word if not unicodedata.combining(sign)).translate(_ALIKE)
    return word.translate(_APOSTROPHES).lower()


def words_of(text: str) -> tuple[str, ...]:
    """The words of a text, folded."""
    if text.isascii():
        return tuple(word.replace("'", "") for word in _WORD.findall(text.lower()))
    return tuple(fold(word) for word in _WORD.findall(text))


def holds(words: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    """Whether some words stand among others, one after the other."""
    return bool(wanted) and any(words[at : at + len(wanted)] == wanted for at in range(len(words) - len(wanted) + 1))
