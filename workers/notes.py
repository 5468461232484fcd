"""The text of notes on a talk: dated paragraphs, the newest last, and paragraphs made by rules where no model made one. Pure.

Guarantee: notes are bounded, and what is new does not push out all that is old: the oldest paragraphs are condensed, sentence by sentence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date

from bots.storage.claims import PastTurn
from bots.text_language import is_frequent

#: All notes together, one paragraph, and one sentence that is taken over by rules.
MOST_CHARS, _PARAGRAPH, _SENTENCE = 2000, 700, 160
#: A paragraph in the person's own words is marked: a model reads it differently from an account of the talk.
_OWN_WORDS = "the person wrote: "
_DATED = re.compile(r"^(?:\d{4}-\d{2}-\d{2}: )?")
#: A full stop within a number or a name ends nothing.
_ENDS = re.compile(r"(?<=[.!?…])\s+|(?<=[。！？؟।])|\n")
_MARKS = ".!?…。！？؟।"
_WORD = re.compile(r"[^\W_]+")
#: A sentence with more such words says no more.
_ENOUGH_WORDS = 4


def added(notes: str | None, paragraph: str, *, day: date | None) -> str:
    """The notes with one more paragraph, about turns that ended on this day."""
    before = (notes or "").splitlines()
    known = {sentence for one in before for sentence in _split(one)[1]}
    begin, said = _split(" ".join(paragraph.split()))
    fresh = [sentence for sentence in dict.fromkeys(said) if sentence not in known]
    if not fresh:
        return notes or ""
    return condensed([*before, (f"{day}: " if day else "") + begin + " ".join(fresh)])


def in_own_words(turns: Iterable[PastTurn]) -> str:
    """A paragraph on turns by rules: what the person wrote with names, numbers, dates and questions in it, in order; empty where there is nothing."""
    said = [sentence for turn in turns for sentence in _sentences(_own(turn.asked))]
    told = dict.fromkeys(sentence for sentence in said if _weight(sentence) > 0)
    kept, room = set[str](), _PARAGRAPH - len(_OWN_WORDS)
    newest_first = list(told)[::-1]
    for sentence in sorted(newest_first, key=_weight, reverse=True):
        if len(sentence) < room:
            room -= len(sentence) + 1
            kept.add(sentence)
    return _OWN_WORDS + " ".join(sentence for sentence in told if sentence in kept) if kept else ""


def condensed(paragraphs: Sequence[str], *, most: int = MOST_CHARS) -> str:
    """Join paragraphs in at most so many characters. The oldest lose their lightest sentences first, down to one each; then the lightest go.

    The newest is the last to be shortened.
    """
    kept = [paragraph for paragraph in paragraphs if paragraph.strip()]
    while sum(map(len, kept)) + len(kept) > most:
        at = next((n for n, paragraph in enumerate(kept) if len(_split(paragraph)[1]) > 1), None)
        if at is not None:
            kept[at] = _lighter(kept[at])
        elif len(kept) > 1:
            del kept[min(range(len(kept) - 1), key=lambda n: max(map(_weight, _split(kept[n])[1]), default=0.0))]
        else:
            return kept[0][:most].rsplit(" ", 1)[0]
    return "\n".join(kept)


def last_day(turns: Sequence[PastTurn]) -> date | None:
    """The day of the last of these turns, where it is known."""
    return next((turn.at.date() for turn in reversed(turns) if turn.at), None)


def _lighter(paragraph: str) -> str:
    """The paragraph without its lightest sentence; of those alike the first."""
    begin, said = _split(paragraph)
    gone = min(range(len(said)), key=lambda n: _weight(said[n]))
    return begin + " ".join(said[:gone] + said[gone + 1 :])


def _split(paragraph: str) -> tuple[str, list[str]]:
    """The date and the mark that a paragraph begins with, and its sentences."""
    match = _DATED.match(paragraph)
    end = match.end() if match else 0
    end += len(_OWN_WORDS) if paragraph.startswith(_OWN_WORDS, end) else 0
    return paragraph[:end], [one.strip() for one in _ENDS.split(paragraph[end:]) if one.strip()]


def _sentences(text: str) -> list[str]:
    found = (" ".join(one.split()) for one in _ENDS.split(text))
    short = (one if len(one) <= _SENTENCE else one[:_SENTENCE].rsplit(" ", 1)[0] + " …" for one in found if one)
    return [one if one[-1] in _MARKS else one + "." for one in short]


def _own(asked: str) -> str:
    """What the person wrote themself: lines in brackets say what a message refers to, or what came with it."""
    return "\n".join(line for line in asked.splitlines() if not (line.startswith("(") and line.endswith(")")))


def _weight(sentence: str) -> float:
    """How much a sentence says that must not get lost: numbers and dates, names, questions, and words that are not frequent."""
    words = _WORD.findall(sentence)
    numbers = sum(any(sign.isdigit() for sign in word) for word in words)
    names = sum(word[0].isupper() for word in words[1:])
    telling = sum(not is_frequent(word.lower()) for word in words)
    return min(numbers, 2) * 2 + min(names, 2) + (sentence[-1] in "?？؟") + min(telling, _ENOUGH_WORDS) / _ENOUGH_WORDS
