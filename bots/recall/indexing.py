"""How a finished turn is indexed, so that it can be recalled: which stems, and what else of it a question may ask for. Pure.

Scripts without spaces, and languages whose words are several syllables, are indexed by pairs of letters or syllables, with no stems.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise

from bots.recall.vocabulary import count, vocabulary, words_of
from bots.storage.turns import NewEpisode

#: Postgres's text search configurations beside those of words.toml; other languages have none.
_CONFIGS = {
    "ca": "catalan", "da": "danish", "el": "greek", "eu": "basque", "fi": "finnish", "ga": "irish", "hu": "hungarian", "hy": "armenian",
    "lt": "lithuanian", "ne": "nepali", "nl": "dutch", "no": "norwegian", "ro": "romanian", "ru": "russian", "sr": "serbian", "sv": "swedish",
    "ta": "tamil", "yi": "yiddish",
}  # fmt: skip
SIMPLE = "simple"
#: Longer texts are read up to here.
_MOST_CHARS = 8000
#: Thai, Lao, Burmese, Khmer, Chinese, Japanese, Korean.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3041-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0002fa1f]+"
)
#: Letters that only Vietnamese has.
_VIETNAMESE = re.compile("[ăơưạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ]", re.IGNORECASE)
_LATIN = re.compile("[a-z]", re.IGNORECASE)
#: How a question ends, and how many words may follow it ("Where is it? Thanks, Ana").
_ASKS = re.compile("[?\uff1f\u061f]")
_AFTER = 2
_MOST_TIME_WORDS = 9


def episode(asked: str, answer: str, *, language: str) -> NewEpisode:
    """A turn as it is stored for recall. language: of the talk; "" where it is not known."""
    asked, answer = asked[:_MOST_CHARS], answer[:_MOST_CHARS]
    told = asked if asked.strip() else answer
    known, words = vocabulary(language), words_of(told)
    return NewEpisode(
        config=config_of(f"{asked} {answer}", language),
        asked=indexed(asked),
        answered=indexed(answer),
        asks=asks(told),
        time_words=min(_MOST_TIME_WORDS, count(known.time, words) + sum(len(word) == 4 and word.isdecimal() for word in words))
        if known
        else 0,
        first_person=known is not None and not known.first.isdisjoint(words),
    )


def asks(text: str) -> bool:
    """Whether a text ends as a question, but for a word or two."""
    *before, rest = _ASKS.split(text)
    return bool(before) and len(words_of(rest)) <= _AFTER


def config_of(text: str, language: str) -> str:
    """The text search configuration for a text; that of no language where its words are pairs, or written in another script than the stems."""
    if not text.isascii() and _VIETNAMESE.search(text):
        return SIMPLE
    known = vocabulary(language)
    config = known.config if known else _CONFIGS.get(language, SIMPLE)
    if language in ("hi", "ar", "el", "hy", "ne", "ru", "ta", "yi"):
        letters = sum(letter.isalpha() for letter in text)
        return SIMPLE if 2 * len(_LATIN.findall(text)) > letters else config
    return config


def indexed(text: str) -> str:
    """The words to index: the text itself, but what has no words of its own as pairs."""
    if text.isascii():
        return text
    if _VIETNAMESE.search(text):
        syllables = words_of(text)
        return " ".join((*syllables, *(_code(one, two) for one, two in pairwise(syllables))))
    return _UNSPACED.sub(lambda run: f" {' '.join(_pairs(run[0]))} ", text)


def _pairs(run: str) -> Iterable[str]:
    return (_code(one, two) for one, two in pairwise(run)) if len(run) > 1 else (_code(run),)


def _code(*parts: str) -> str:
    """A pair in letters that every Postgres takes for one word, whatever its locale."""
    return "x" + "".join(f"{ord(letter):04x}" for part in parts for letter in part)


def passage(asked: str, answer: str) -> str:
    """What of a turn is embedded."""
    return "\n".join(part for part in (asked, answer) if part.strip())[:_MOST_CHARS]
