"""How likely a message is followed by another one that belongs to it, told from its words and its form alone; the words are data in words.toml.

The answer is how long to wait for more, in units of the shortest wait (CHINWAG_DEBOUNCE_S): the database, which knows what was said before, picks one (waits_for_more).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import NamedTuple, TypeAlias

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
#: So much is not typed as the beginning of something: letters of a message, words of a wish, and those of a statement with and without a mark at its end.
_COMPOSED, _MANY_WISHED, _MANY_MARKED, _MANY = 300, 10, 14, 25
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
_Said: TypeAlias = tuple[str, ...]
#: Phrases by their first word, or their last.
_Phrases: TypeAlias = dict[str, list[_Said]]
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


def _is_before(words: _Said, *, is_question: bool) -> bool:
    """Whether it only greets, or announces what follows."""
    every = _everything()
    begin = _greeted(words, every.greets)
    rest = words[begin:]
    if begin and (not rest or (len(rest) == 1 and not is_question and rest not in every.answers)):
        return True
    behind = _BEHIND_ASKED if is_question else _BEHIND
    length = max(_longest(rest, 0, every.announces), _longest_end(rest, every.announced))
    return length > 0 and (length > 1 or len(rest) == 1) and len(rest) - length <= behind


def _greeted(words: _Said, greets: _Phrases) -> int:
    """How many words at the beginning greet."""
    at = 0
    while length := _longest(words, at, greets):
        at += length
    return at


def _longest(words: _Said, at: int, phrases: _Phrases) -> int:
    """How many words the longest phrase has that stands at a place; 0: none does."""
    found = phrases.get(words[at], ()) if at < len(words) else ()
    return max((len(phrase) for phrase in found if words[at : at + len(phrase)] == phrase), default=0)


def _longest_end(words: _Said, phrases: _Phrases) -> int:
    """The same at the end of the words, of phrases by their last word."""
    found = phrases.get(words[-1], ()) if words else ()
    return max((len(phrase) for phrase in found if words[-len(phrase) :] == phrase), default=0)


def _unasked(said: str, words: _Said, *, is_marked: bool) -> Waits:
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


def _asks(said: str, words: _Said, known: _Words) -> bool:
    """Whether it asks for something, as a whole: "I would like a table" may be half of a wish."""
    if any(_longest(words, at, known.asks) for at in range(len(words))):
        return True
    if any(_longest(words, at, known.wishes) for at in range(len(words))):
        return len(words) >= _MANY_WISHED or any(sign.isdigit() for sign in said)
    every = _everything()
    for sentence in _SENTENCES.split(said):
        first = words_of(sentence)
        if _longest(first, _greeted(first, every.greets), known.asks_first):
            return True
    return False


@dataclass(frozen=True, slots=True)
class _Words:
    """The words of one language, or of all; announced: the same as announces, by the last word."""

    greets: _Phrases
    announces: _Phrases
    announced: _Phrases
    open: frozenset[_Said]
    answers: frozenset[_Said]
    asks: _Phrases
    wishes: _Phrases
    asks_first: _Phrases


@cache
def _known() -> dict[str, _Words]:
    return {language: _made([lists]) for language, lists in _read().items()}


@cache
def _everything() -> _Words:
    return _made(list(_read().values()))


@cache
def _read() -> dict[str, dict[str, str]]:
    return tomllib.loads((Path(__file__).parent / "words.toml").read_text("utf-8"))


def _made(languages: list[dict[str, str]]) -> _Words:
    said = {name: frozenset(words_of(phrase) for lists in languages for phrase in lists[name].split(";")) for name in languages[0]}
    begin = {name: _by(0, said[name]) for name in ("greets", "announces", "asks", "wishes", "asks_first")}
    return _Words(
        greets=begin["greets"],
        announces=begin["announces"],
        announced=_by(-1, said["announces"]),
        open=said["open"],
        answers=said["answers"],
        asks=begin["asks"],
        wishes=begin["wishes"],
        asks_first=begin["asks_first"],
    )


def _by(place: int, phrases: frozenset[_Said]) -> _Phrases:
    found: _Phrases = {}
    for phrase in phrases:
        found.setdefault(phrase[place], []).append(phrase)
    return found
