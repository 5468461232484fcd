"""Which facts a message is about: those of which it has a word, in this or another form, or that it asks for. No model, and no list of endings.

Two words are forms of one where they begin alike: "biscuit" and "biscuits", "nadar" and "nado".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache
from typing import TypeVar

from bots.text_language import is_frequent
from workers.turn import told
from workers.turn.told import Fact

#: Not letters alone: the vowel signs of many scripts are none.
FactT = TypeVar("FactT", bound=Fact)

_WORD = re.compile(
    r"[^\s!-/:-@\[-`{-~¡¿«»\u2010-\u2027\u2030-\u205e\u060c\u061b\u061f\u0964\u0965\u3000-\u3003\u3008-\u3011\uff01-\uff0f\uff1a-\uff20]+"
)
#: Two words that begin alike are forms of one if they share this many letters, and no more than this many follow in either.
_BEGIN, _ENDING = 4, 3
#: Longer messages are not searched to their end.
_MOST_WORDS = 400
#: From here on a sign is a word, or a syllable.
_SIGNS = "\u2e80"


def fitting(facts: Sequence[FactT], said: str, *, language: str) -> list[FactT]:
    """Those of the facts that a message is about, or whose kind it asks for."""
    if not facts:
        return []
    words = words_of(said)
    topics = _topics(words)
    return [one for one in facts if _are_alike(_asked(one.kind, language), words) or _are_alike(_topics(words_of(one.text)), topics)]


def _topics(words: Iterable[str]) -> list[str]:
    """Those of the words that say what a text is about."""
    return [word for word in words if (len(word) > 1 or word >= _SIGNS) and not is_frequent(word)]


def _are_alike(some: Iterable[str], others: Sequence[str]) -> bool:
    return any(_is_form_of(one, other) for one in some for other in others)


def _is_form_of(one: str, other: str) -> bool:
    if one == other:
        return True
    short, long = sorted((len(one), len(other)))
    if not one.isascii() and (one in other or other in one):
        # A language that writes articles or endings in one word with it, or no spaces at all.
        return short > 1 or min(one, other, key=len) >= _SIGNS
    begin = max(_BEGIN, short - 1)
    return short >= _BEGIN and long - short <= _ENDING and one[:begin] == other[:begin]


def words_of(text: str) -> list[str]:
    """The words of a text once each, without accents, case and marks."""
    plain = "".join(sign for sign in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(sign))
    return list(dict.fromkeys(_WORD.findall(plain)[:_MOST_WORDS]))


@cache
def _asked(kind: str, language: str) -> tuple[str, ...]:
    """The words by which a person asks for facts of this kind."""
    return tuple(words_of(told.asked_by(kind, language=language)))
