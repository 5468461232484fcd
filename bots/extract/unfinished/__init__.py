"""How likely a message is followed by another one that belongs to it, told from its words and its form alone; the words are data in words.toml.

The answer is how long to wait for more, in units of the shortest wait (CHINWAG_DEBOUNCE_S): accept_events, which knows what was said before, picks one.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

from bots.domain import EventKind, InboundEvent
from bots.phrases.words import words_of
from bots.text_language import language_in


class Waits(NamedTuple):
    """How long to wait for another message of the same person, in units of the shortest wait, by what was said before."""

    #: They have been quiet, and the bot's last words asked nothing.
    alone: float
    #: The bot has just asked something.
    asked: float
    #: They have been quiet, and hardly ever end a message with a mark.
    unmarked: float


#: A second message is likely, possible, unlikely. People pause up to four seconds between two pieces: three times the default of 1.5 s is longer.
_LIKELY, _POSSIBLE, _UNLIKELY = 3.0, 1.0, 0.0
_OPEN = Waits(alone=_LIKELY, asked=_LIKELY, unmarked=_LIKELY)
_ENDED = Waits(alone=_UNLIKELY, asked=_UNLIKELY, unmarked=_UNLIKELY)
#: A question without a mark is whole if its writer never makes one, or answers a question with it.
_UNMARKED_QUESTION = Waits(alone=_POSSIBLE, asked=_UNLIKELY, unmarked=_UNLIKELY)
_STUMP = Waits(alone=_POSSIBLE, asked=_POSSIBLE, unmarked=_POSSIBLE)
#: "Yes", "thanks", a thumb.
_SHORT_ANSWER = Waits(alone=_POSSIBLE, asked=_UNLIKELY, unmarked=_POSSIBLE)
#: What asks for nothing is the beginning of something, unless it is an answer.
_STATEMENT = Waits(alone=_LIKELY, asked=_UNLIKELY, unmarked=_LIKELY)
_UNMARKED_STATEMENT = Waits(alone=_LIKELY, asked=_POSSIBLE, unmarked=_LIKELY)
_LONG_STATEMENT = Waits(alone=_POSSIBLE, asked=_UNLIKELY, unmarked=_POSSIBLE)

#: Content that people send first and talk about afterwards.
_SHOWN = frozenset({"image", "video", "document", "file", "share"})
#: So much is not typed as the beginning of something: letters of a message, and words of a statement with and without a mark at its end.
_COMPOSED, _MANY_MARKED, _MANY = 300, 14, 25
#: The most words of an announcement.
_LONGEST = 7
#: More words than these are neither a greeting nor an announcement.
_MOST_BEFORE = 10
#: How many words may stand behind an announcement: "I have a question about my order"; fewer where the message is a question itself.
_BEHIND, _BEHIND_ASKED = 3, 2
_ASKING = re.compile("[?？؟]")
_MARKS = re.compile("[.!?？！؟。।॥‼⁉]")
_DOTS = re.compile(r"…|\.\s?\.")
#: After one of these a sentence goes on. A bracket or a stroke may be half a smile.
_GOES_ON = frozenset(",:;،؛、，：-–—&+=")
_LAST_LETTER = re.compile(r".*[^\W_]", re.DOTALL)
_LINK = re.compile(r"(?:https?://|www\.)\S+$", re.IGNORECASE)
_SENTENCES = re.compile("[.!,;:\n،।؛。]+")


def expecting(events: Iterable[InboundEvent]) -> list[InboundEvent]:
    """Return the events, messages with how long to wait for more after each."""
    return [
        replace(event, waits=waits(event.text, event.content_type))
        if event.kind is EventKind.MESSAGE and not event.reply_at_once
        else event
        for event in events
    ]


def waits(text: str | None, content_type: str = "text") -> Waits:
    """How long to wait for more after a message, in units of the shortest wait."""
    said = (text or "").strip()
    if not said:
        return _OPEN if content_type in _SHOWN else _STUMP
    last = _LAST_LETTER.match(said)
    tail = said[last.end() :] if last else said
    if _DOTS.search(tail) or tail[-1:] in _GOES_ON or _LINK.match(said):
        return _OPEN
    if len(said) > _COMPOSED:
        return _ENDED
    is_question, words = bool(_ASKING.search(said)), words_of(said)
    if 0 < len(words) <= _MOST_BEFORE and _is_before(words, is_question=is_question):
        return _OPEN
    return _ENDED if is_question else _unasked(said, words, is_marked=bool(_MARKS.search(tail)))


def _is_before(words: tuple[str, ...], *, is_question: bool) -> bool:
    """Whether it only greets, or announces what follows."""
    every = _everything()
    begin = _greeted(words, every.greets)
    rest = words[begin:]
    if begin and (not rest or (len(rest) == 1 and not is_question and rest not in every.answers)):
        return True
    behind = _BEHIND_ASKED if is_question else _BEHIND
    return any(
        phrase in every.announces and (length > 1 or len(rest) == 1) and len(rest) - length <= behind
        for length in range(min(len(rest), _LONGEST), 0, -1)
        for phrase in ({rest[:length], rest[-length:]} if length > 1 else {rest[:length]})
    )


def _greeted(words: tuple[str, ...], greets: frozenset[tuple[str, ...]]) -> int:
    """How many words at the beginning greet."""
    at = 0
    while at < len(words):
        length = next((length for length in (5, 4, 3, 2, 1) if at + length <= len(words) and words[at : at + length] in greets), 0)
        if not length:
            break
        at += length
    return at


def _unasked(said: str, words: tuple[str, ...], *, is_marked: bool) -> Waits:
    """The waits for a message without a question mark."""
    every = _everything()
    if not words or words in every.answers:
        return _SHORT_ANSWER
    language = language_in(said)
    known = _known().get(language, every)
    if not is_marked and any(words[-length:] in known.open for length in (1, 2, 3)):
        return _OPEN
    if _asks(said, words, known):
        if is_marked:
            return _ENDED
        return _UNMARKED_QUESTION if len(words) > 1 else _STUMP
    if is_marked:
        return _LONG_STATEMENT if len(words) >= _MANY_MARKED else _STATEMENT
    return _LONG_STATEMENT if len(words) >= _MANY else _UNMARKED_STATEMENT


def _asks(said: str, words: tuple[str, ...], known: _Words) -> bool:
    if _holds(words, known.asks):
        return True
    for sentence in _SENTENCES.split(said):
        first = words_of(sentence)
        begin = _greeted(first, _everything().greets)
        if any(first[begin : begin + length] in known.asks_first for length in (1, 2, 3)):
            return True
    return False


def _holds(words: tuple[str, ...], phrases: frozenset[tuple[str, ...]]) -> bool:
    return any(words[at : at + length] in phrases for length in (1, 2, 3, 4) for at in range(len(words) - length + 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Words:
    """The words of one language, or of all."""

    greets: frozenset[tuple[str, ...]]
    announces: frozenset[tuple[str, ...]]
    open: frozenset[tuple[str, ...]]
    answers: frozenset[tuple[str, ...]]
    asks: frozenset[tuple[str, ...]]
    asks_first: frozenset[tuple[str, ...]]


@cache
def _known() -> dict[str, _Words]:
    read = tomllib.loads((Path(__file__).parent / "words.toml").read_text("utf-8"))
    return {
        language: _Words(**{name: frozenset(words_of(phrase) for phrase in said.split(";")) for name, said in lists.items()})
        for language, lists in read.items()
    }


@cache
def _everything() -> _Words:
    return _Words(**{name: frozenset().union(*(getattr(words, name) for words in _known().values())) for name in _Words.__slots__})


def load() -> None:
    """Read the words, so that no message waits for them."""
    _everything()
