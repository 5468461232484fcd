"""What the words of a value must be to be a name, a place, a trade, hours or a thing at all, and how it is written down."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence

from bots.extract.clauses import Clauses
from bots.extract.matching import POSSESSIVES
from bots.extract.rules import Shape
from bots.extract.spans import MOST_THINGS, Item
from bots.extract.words import Word, join

_PARTICLES = frozenset({"de", "da", "do", "dos", "das", "del", "della", "di", "la", "las", "los", "le", "van", "von", "der", "den", "zu", "bin", "binti", "ibn", "al", "el", "y", "e", "o'"})  # fmt: skip
_PLACE_JOINTS = frozenset({"de", "da", "do", "dos", "das", "del", "la", "las", "los", "el", "san", "the", "of", "new", "upon", "y", "e", "and", "sur", "le", "rio", "sao", "a", "o", "am", "an", "im", "bei"})  # fmt: skip
_HOUR = re.compile(r"\d{1,2}(?:[:.h]\d\d)?(?:am|pm|h|uhr)?", re.ASCII)
#: "I work as a DJ".
_MOST_INITIALS = 4
_NO_INITIALS = frozenset({"OK", "TV", "PC", "ID", "DJ", "HR", "RH", "IT", "PR", "MS", "MD", "GP", "UK", "US", "EU", "UE", "ME", "II", "AM", "PM"})  # fmt: skip
_ARTICLES = ("definite", "articles")
#: Before these an English trade is named: "head of sales".
_OF = frozenset({"of", "for", "in", "at", "with"})
_MOST_LATER_WORDS = 4

#: Values and the place behind their last word.
_Made = tuple[tuple[str, ...], int]
_NONE: _Made = ((), 0)


def _name(found: Clauses, shape: Shape, items: Sequence[Item]) -> _Made:
    words = list(items[0].words)
    titles = found.language.lists.get("titles")
    while titles and len(words) > 1 and titles.length(words, 0):
        words.pop(0)
    end = items[0].end
    if shape.loose and len(words) > shape.most:
        # In scripts without capitals nothing shows where a name ends.
        end -= len(words) - shape.most
        words = words[: shape.most]
    if not 0 < len(words) <= shape.most or _has_ending(shape, words[0]):
        return _NONE
    for at, word in enumerate(words):
        if any(letter.isdigit() for letter in word.text) or not word.text[:1].isalpha():
            return _NONE
        # A surname may be any word: "Thomas Petit", "Ana Rey".
        is_surname = at > 0 and word.text[0].isupper()
        is_particle = 0 < at < len(words) - 1 and word.folded in _PARTICLES
        if not (is_surname or is_particle) and (shape.never.length(words, at) or _is_stop(found, words, at)):
            return _NONE
    if all(word.text.islower() for word in words):
        return (" ".join(word.text if word.folded in _PARTICLES else word.text[0].upper() + word.text[1:] for word in words),), end
    if not all(word.text[0].isupper() or not word.text[0].islower() or word.folded in _PARTICLES for word in words):
        # Once capitals are used, words without them are not part of the name.
        return _NONE
    return (join(words),), end


def _proper(found: Clauses, shape: Shape, items: Sequence[Item]) -> _Made:
    words: list[Word] = []
    titles = found.language.lists.get("titles")
    for at, word in enumerate(items[0].words):
        if not (
            word.is_capitalised
            or shape.but.length([word], 0)
            or _is_short(word.text, shape.initials)
            or (shape.unknown and _is_unknown(found, shape, word))
            or (shape.surname and words and at == len(items[0].words) - 1 and _is_unknown(found, shape, word))
            or (words and word.folded in _PARTICLES)
            or (titles and titles.length([word], 0))
        ):
            if word.folded == "'s":
                # "Dr Patel's husband" is somebody else.
                return _NONE
            break
        words.append(word)
    while words and words[-1].folded in _PARTICLES:
        words.pop()
    end = items[0].end - len(items[0].words) + len(words)
    # "I am Trainee at Bosch" is one capitalised word, however many follow it.
    return _name(found, shape, [Item(tuple(words), "", end)]) if len(words) >= shape.least else _NONE


def _place(found: Clauses, shape: Shape, items: Sequence[Item]) -> _Made:
    words = list(items[0].words)
    # "White Plains" and "Red Deer" are places; "black" and "red" are what people live in.
    is_proper = (
        len(words) > 1 and all(word.text[:1].isupper() or word.folded in _PLACE_JOINTS for word in words) and words[0].text[:1].isupper()
    )
    if shape.never.length(words, 0) >= 1 + is_proper or any(_is_stop(found, words, at) for at in range(len(words))):
        return _NONE
    named = next((word for word in words if word.folded not in _PLACE_JOINTS), words[0])
    if shape.proper and not (named.is_capitalised or (shape.unknown and len(words) == 1 and _is_unknown(found, shape, named))):
        return _NONE
    if not 0 < len(words) <= shape.most or not words[0].text[:1].isalpha() or (words[0].text.islower() and _has_ending(shape, words[0])):
        return _NONE
    capitals = any(word.text[:1].isupper() for word in words)
    if not capitals and len([word for word in words if word.folded not in _PLACE_JOINTS]) > 3:
        return _NONE
    text = join(words)
    # "Porto, Portugal" and "Trinidad and Tobago": whatever is joined must be written like a name and end there.
    if (
        len(items) == 2
        and capitals
        and len(items[1].words) <= 2
        and all(word.is_capitalised and word.text[0].isupper() for word in items[1].words)
    ):
        between = found.words[items[0].end : items[1].end - len(items[1].words)]
        return (join([*words, *between, *items[1].words]),), items[1].end
    return (text,), items[0].end


def _things(found: Clauses, shape: Shape, items: Sequence[Item]) -> _Made:
    # A list ends in "and"; words after a comma without one are another thought.
    whole = any(item.joint not in {"", ","} for item in items) or shape.commas
    chosen = items if whole else items[:1]
    made: list[str] = []
    for at, item in enumerate(chosen[:MOST_THINGS]):
        text = _thing(found, shape, item.words, most=shape.most if not at else min(_MOST_LATER_WORDS, shape.most))
        if text is None:
            break
        made.append(text)
    return tuple(made), items[len(made) - 1].end


def _one(found: Clauses, shape: Shape, items: Sequence[Item]) -> _Made:
    text = _thing(found, shape, items[0].words, most=shape.most)
    return ((text,), items[0].end) if text else _NONE


def _trade(found: Clauses, shape: Shape, items: Sequence[Item]) -> _Made:
    """A trade, by its name or its form. "I work as a dog" compares, "trabajo de noche" says when."""
    words = items[0].words
    if not shape.holds or any(
        shape.never.length(words, at)
        or any(found.language.lists[name].length(words, at) for name in _ARTICLES if name in found.language.lists)
        for at in range(len(words))
    ):
        # "Seeing the dentist" is none.
        return _NONE
    before_of = next((at for at, word in enumerate(words) if at and word.folded in _OF), len(words))
    # English puts the trade last ("marine biologist"), others first ("ingeniera civil").
    heads = (before_of - 1,) if found.language.code in {"en", "de", "tr", "hi"} else (0, 1)
    for head in heads:
        if head < len(words) and (
            shape.holds.length(words, head)
            or _is_initials(words[head].text)
            or any(shape.holds.length(words, at) + at > head for at in range(head))
        ):
            text = _thing(found, dataclasses.replace(shape, holds=None), words, most=shape.most)
            return ((text,), items[0].end) if text else _NONE
    return _NONE


def _is_initials(text: str) -> bool:
    return 1 < len(text) <= _MOST_INITIALS and text.isupper() and text.isalpha()


def _is_unknown(found: Clauses, shape: Shape, word: Word) -> bool:
    """Whether a word is none of the language, so that it may be a name that is written small."""
    return word.text.isalpha() and len(word.text) > 2 and word.folded not in found.language.scissors.known and not _has_ending(shape, word)


def _is_short(text: str, most: int) -> bool:
    """Whether it may be what somebody is called for short: "JB", "A.J."."""
    letters = text.replace(".", "")
    return len(letters) <= most and _is_initials(letters) and letters not in _NO_INITIALS


def _thing(found: Clauses, shape: Shape, words: Sequence[Word], *, most: int) -> str | None:
    if not 0 < len(words) <= most or shape.never.length(words, 0) or _has_ending(shape, words[0]) or words[0].folded in POSSESSIVES:
        return None
    if shape.holds and not any(
        shape.holds.length(words, at) or (shape.shape == "hours" and at == 0 and _HOUR.fullmatch(words[at].folded))
        for at in range(len(words))
    ):
        return None
    unfinished = found.language.lists.get("unfinished")
    if unfinished and unfinished.length(words, len(words) - 1):
        # "The tone of your message" is cut before "your".
        return None
    if any(_is_stop(found, words, at) for at in range(len(words))) or not any(
        letter.isalpha() or (shape.shape == "hours" and letter.isdigit()) for word in words for letter in word.text
    ):
        return None
    return join(list(words))


def _listed(found: Clauses, shape: Shape, items: Sequence[Item]) -> _Made:  # noqa: ARG001 - all shapes are called alike
    made: list[str] = []
    used = 0
    for item in items:
        words, at = item.words, 0
        while at < len(words) and shape.holds:
            match = shape.holds.match(words, at)
            if match is None:
                break
            made.append(match[1] or join(list(words[at : at + match[0]])))
            at += match[0]
        if at < len(words) and not (shape.loose and at):
            # "Spanish fluently" names a language, "a vegan chef" no diet.
            del made[len(made) - (at > 0) :]
            break
        used += 1
    return tuple(made), items[max(used, 1) - 1].end


def _hours(found: Clauses, shape: Shape, items: Sequence[Item]) -> _Made:
    words: list[Word] = list(items[0].words)
    used = 1
    for item in items[1:]:
        if item.joint == "," and not item.words[0].text[:1].isdigit():
            break
        words += [*(() if item.joint == "," else (Word(item.joint, item.joint),)), *item.words]
        used += 1
    text = _thing(found, shape, words, most=shape.most)
    return ((text,), items[used - 1].end) if text else _NONE


def _names(found: Clauses, shape: Shape, items: Sequence[Item]) -> _Made:
    made: list[str] = []
    for item in items:
        name, _ = _proper(found, shape, [item])
        if not name:
            break
        made.extend(name)
    joint = next((item.joint for item in items if item.joint not in {"", ","}), "and")
    text = f" {joint} ".join([", ".join(made[:-1]), made[-1]]) if len(made) > 1 else "".join(made)
    return ((text,), items[len(made) - 1].end) if made else _NONE


def _is_stop(found: Clauses, words: Sequence[Word], at: int) -> bool:
    return any(
        name == "stops" and len(phrase) == 1 and (not exact or words[at].text.lower() == phrase[0])
        for phrase, exact, name in found.language.signals.get(words[at].folded, ())
    )


def _has_ending(shape: Shape, word: Word) -> bool:
    """Whether a word has one of the endings that no such value has."""
    folded = word.folded
    return (
        bool(shape.not_ends)
        and not shape.but.length([word], 0)
        and any(folded.endswith(end) and len(folded) >= len(end) + 3 for end in shape.not_ends)
    )


SHAPES: dict[str, Callable[[Clauses, Shape, Sequence[Item]], _Made]] = {
    "name": _name,
    "proper": _proper,
    "place": _place,
    "things": _things,
    "one": _one,
    "event": _one,
    "trade": _trade,
    "listed": _listed,
    "hours": _hours,
    "names": _names,
}
