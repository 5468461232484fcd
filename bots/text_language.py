"""Which language a text is in, told from its frequent words and letters, which are data in text_language.toml."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path

#: A language is told from so many characters.
_ENOUGH = 400
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
#: Each of them shows a language, like a word.
_LETTERS = frozenset("¿¡ñãõß")


def language_in(text: str) -> str:
    """The language of this file that most words of a text belong to; empty where none does, or two do alike."""
    begin = text[:_ENOUGH].replace("\u2019", "'").lower()
    said = [*_WORD.findall(begin), *(letter for letter in begin if letter in _LETTERS)]
    counted = sorted(((sum(word in words for word in said), language) for language, words in _frequent().items()), reverse=True)
    (most, language), (second, _), *_ = counted
    return language if most > second else ""


@cache
def _frequent() -> dict[str, frozenset[str]]:
    table = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
    return {language: frozenset(words["words"]) for language, words in table.items()}
