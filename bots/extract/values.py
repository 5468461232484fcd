"""Gets a value from the words of a match: where it begins and ends, and whether it is a name, a place or a thing at all."""

from __future__ import annotations

import dataclasses
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bots.extract.clauses import Clauses
from bots.extract.rules import Rule, Shape
from bots.extract.matching import LONGEST_VALUE, Span
from bots.extract.words import QUOTED, Word, join

_PARTICLES = frozenset(
    {
        "de",
        "da",
        "do",
        "dos",
        "das",
        "del",
        "della",
        "di",
        "la",
        "las",
        "los",
        "le",
        "van",
        "von",
        "der",
        "den",
        "zu",
        "bin",
        "binti",
        "ibn",
        "al",
        "el",
        "y",
        "e",
        "o'",
    }
)
_PLACE_JOINTS = frozenset({"de", "da", "do", "dos", "das", "del", "la", "las", "los", "el", "san", "the", "of", "new", "upon", "y", "e", "and", "sur", "le", "rio", "sao", "a", "o", "am", "an", "im", "bei"})  # fmt: skip
#: In a value these make it part of an address, a token or a label.
_SUSPICIOUS = frozenset(":<>|[]{}\\=@#$%^/")
_MOST_THINGS = 6
_HOUR = re.compile(r"\d{1,2}(?:[:.h]\d\d)?(?:am|pm|h|uhr)?", re.ASCII)
#: "I work as a DJ".
_MOST_INITIALS = 4
_ARTICLES = ("definite", "articles")
#: Before these an English trade is named: "head of sales".
_OF = frozenset({"of", "for", "in", "at", "with"})
_MOST_LATER_WORDS = 4
#: How far behind a value a negation takes it back.
_BEHIND = 3
#: A relative clause within a list of things has at most so many words.
_LONGEST_RELATIVE = 8
_SEVERAL = frozenset({"things", "listed", "names", "hours"})
#: "The Netherlands", "a house": an article belongs to them, or shows that they are none.
_WITH_ARTICLES = frozenset({"place", "name", "proper", "names", "hours"})


@dataclass(frozen=True, slots=True)
class Found:
    """Values of a match, and where they end."""

    values: tuple[str, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Item:
    words: tuple[Word, ...]
    #: The word before it: a comma, an "and", or nothing.
    joint: str
    #: Behind its last word.
    end: int


def values(found: Clauses, rule: Rule, span: Span, taken: int) -> Found | None:
    """The values of a rule in this span. taken: where the statement before it ended, behind which a value must begin."""
    shape = rule.shape
    if shape is None:
        return None
    # What is presupposed holds whatever is denied of it: "our rabbit Flocke doesn't eat".
    may_fail = not (rule.asked and rule.anywhere)
    if span.start != span.end:
        return _values(found, shape, span, span.start, may_fail=may_fail)
    several = shape.shape in _SEVERAL
    return _values(found, shape, span, _begin(found, shape, span.start, taken, several=several), may_fail=may_fail) or (
        _values(found, shape, span, _begin(found, shape, span.start, taken, several=False), may_fail=may_fail) if several else None
    )


def _values(found: Clauses, shape: Shape, span: Span, start: int, *, may_fail: bool) -> Found | None:
    limit = span.end
    bounded = _bound(found, shape, start, limit)
    if bounded is None:
        return None
    items, end = bounded
    if limit is not None and end != limit:
        return None
    if span.ending:
        items = _without_ending(found, items, span.ending)
    if not items or len(items[0].words) < shape.least:
        return None
    made, end = _SHAPES[shape.shape](found, shape, items)
    if not made:
        return None
    return None if limit is None and may_fail and _is_taken_back(found, shape, end) else Found(made, start, end)


def _begin(found: Clauses, shape: Shape, end: int, taken: int, *, several: bool) -> int:
    """Where a value that stands before its pattern begins. several: whether it may be a list."""
    at = end
    while at > taken and end - at < LONGEST_VALUE:
        word = found.words[at - 1]
        if found.has("stops", at - 1) or found.has("joints", at - 1) or found.has("clause_words", at - 1):
            break
        if found.joins(at - 1):
            if not several or at == end:
                break
        elif not word.is_word and word.text != "-":
            break
        at -= 1
        if at in found.gaps and at < end:
            break
    while at < end and (found.joins(at) or "fillers" in found.signals[at]):
        at += max(found.signals[at].get("fillers", 1), 1)
    return min(at, end)


def _bound(found: Clauses, shape: Shape, start: int, limit: int | None) -> tuple[list[_Item], int] | None:
    """The items of a value and where it ends; None when it is no value at all."""
    words = found.words
    several = shape.shape in _SEVERAL or shape.shape == "place"
    items: list[_Item] = []
    current: list[Word] = []
    joint = ""
    at = start
    stop = len(words) if limit is None else limit
    # What is longer is no value; it need not be read to its end.
    while at < stop and len(current) <= LONGEST_VALUE and len(items) <= _MOST_THINGS:
        word = words[at]
        if (
            word.text == QUOTED
            or word.text in _SUSPICIOUS
            or unicodedata.category(word.text[0] if word.text else "a") in {"Cc", "Cf", "Co", "Cn"}
        ):
            return None
        if found.silent[at] and not found.joins(at) and not found.has("cuts", at):
            # It goes on in words of somebody else.
            return None
        if found.silent[at] or (at in found.gaps and at > start and word.text != ",") or found.has("negations", at):
            break
        if found.joins(at):
            if not several or not _goes_on(found, shape, at) or (not current and not items):
                break
            if current:
                items.append(_Item(tuple(current), joint, at))
                current, joint = [], ""
            joint = word.text if joint in {"", ","} else joint
            at += 1
            continue
        if shape.shape == "names" and current and (found.has("ages", at) or word.text[:1].isdigit()):
            at += 1
            continue
        if current and shape.shape == "things" and found.has("relatives", at):
            behind = _behind_relative(found, at, stop)
            if behind is None:
                break
            at = behind
            continue
        if (
            (not word.is_word and word.text != "-")
            or found.has("joints", at)
            or (found.has("cuts", at) and not shape.uncut and not _is_name(shape, word))
            or shape.cuts.length(words, at)
        ):
            break
        if not current and shape.shape not in _WITH_ARTICLES:
            article = found.signals[at].get("articles")
            if article and at + article < stop and word.text[:1].islower() | (not word.text.isascii()) | (at == 0):
                at += article
                if words[at - 1].folded in {"", ","}:
                    break
                continue
        current.append(word)
        at += 1
    if current:
        items.append(_Item(tuple(current), joint, at))
    return items, at


def _behind_relative(found: Clauses, at: int, stop: int) -> int | None:
    """Behind "that you had last winter" a list may go on: the place of its comma or "and", before an article."""
    for after in range(at + 1, min(at + _LONGEST_RELATIVE, stop)):
        if not found.words[after].is_word and found.words[after].text != ",":
            return None
        if found.joins(after):
            behind = after + 1
            while behind < stop and found.joins(behind):
                behind += 1
            return after if behind < stop and found.has("definite", behind) else None
    return None


def _is_name(shape: Shape, word: Word) -> bool:
    return shape.shape == "names" and word.text[:1].isupper()


def _goes_on(found: Clauses, shape: Shape, at: int) -> bool:
    """Whether a list goes on behind a joint: no other statement or clause begins there."""
    behind = at + 1
    while behind < len(found.words) and found.joins(behind):
        behind += 1
    if behind >= len(found.words) or behind in found.gaps:
        return False
    signals = found.signals[behind]
    if shape.shape == "names" and found.words[behind].text[:1].isupper():
        # "Lily and May": a name may be any word.
        return True
    return not any(name in signals for name in ("clause_words", "negations", "cuts", "joints", "questions", "stops"))


def _is_taken_back(found: Clauses, shape: Shape, end: int) -> bool:
    """Whether a negation right behind takes the value back: "I live in Porto no more", "I like tea, not". Not so ", not Maria"."""
    words = found.words
    for at in range(end, min(end + _BEHIND, len(words))):
        if found.has("negations", at):
            behind = at + found.signals[at]["negations"]
            if shape.shape in {"name", "proper"}:
                # "My son Leo won't come" is about what he does.
                return behind >= len(words)
            return behind >= len(words) or words[at - 1].text != ","
        if (
            "and" in found.signals[at]
            or (found.joins(at) and at > end)
            or "joints" in found.signals[at]
            or "clause_words" in found.signals[at]
        ):
            return False
    return False


def _without_ending(found: Clauses, items: list[_Item], name: str) -> list[_Item]:
    """The items without the ending: the last must have it, the others lose it where they do. None when the last has it not."""
    cut: list[_Item] = []
    for number, item in enumerate(items):
        words = _cut_ending(found, item.words, name)
        if words is None and number == len(items) - 1:
            return []
        cut.append(_Item(words if words else item.words, item.joint, item.end))
    return cut


def _cut_ending(found: Clauses, words: tuple[Word, ...], name: str) -> tuple[Word, ...] | None:
    """The words without an ending of the last, or a beginning of the first; None where they have none of these."""
    first, *middle = words
    *before, last = words
    for ending in found.language.endings[name]:
        if ending.is_prefix:
            cut = ending.cut(first)
            if cut is not None:
                return (cut, *middle)
            continue
        if before and last.is_glued and last.folded == ending.text:
            # A clitic that was cut off already.
            return tuple(before)
        cut = ending.cut(last)
        if cut is not None:
            return (*before, cut)
    return None


#: Values and the place behind their last word.
_Made = tuple[tuple[str, ...], int]
_NONE: _Made = ((), 0)


def _name(found: Clauses, shape: Shape, items: Sequence[_Item]) -> _Made:
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


def _proper(found: Clauses, shape: Shape, items: Sequence[_Item]) -> _Made:
    words: list[Word] = []
    titles = found.language.lists.get("titles")
    for word in items[0].words:
        if not (
            word.is_capitalised
            or shape.but.length([word], 0)
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
    return _name(found, shape, [_Item(tuple(words), "", end)]) if words else _NONE


def _place(found: Clauses, shape: Shape, items: Sequence[_Item]) -> _Made:
    words = list(items[0].words)
    # "White Plains" and "Red Deer" are places; "black" and "red" are what people live in.
    is_proper = (
        len(words) > 1 and all(word.text[:1].isupper() or word.folded in _PLACE_JOINTS for word in words) and words[0].text[:1].isupper()
    )
    if shape.never.length(words, 0) >= 1 + is_proper or any(_is_stop(found, words, at) for at in range(len(words))):
        return _NONE
    named = next((word for word in words if word.folded not in _PLACE_JOINTS), words[0])
    if shape.proper and not named.is_capitalised:
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


def _things(found: Clauses, shape: Shape, items: Sequence[_Item]) -> _Made:
    # A list ends in "and"; words after a comma without one are another thought.
    whole = any(item.joint not in {"", ","} for item in items) or shape.commas
    chosen = items if whole else items[:1]
    made: list[str] = []
    for at, item in enumerate(chosen[:_MOST_THINGS]):
        text = _thing(found, shape, item.words, most=shape.most if not at else min(_MOST_LATER_WORDS, shape.most))
        if text is None:
            break
        made.append(text)
    return tuple(made), items[len(made) - 1].end


def _one(found: Clauses, shape: Shape, items: Sequence[_Item]) -> _Made:
    text = _thing(found, shape, items[0].words, most=shape.most)
    return ((text,), items[0].end) if text else _NONE


def _trade(found: Clauses, shape: Shape, items: Sequence[_Item]) -> _Made:
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


def _thing(found: Clauses, shape: Shape, words: Sequence[Word], *, most: int) -> str | None:
    if not 0 < len(words) <= most or shape.never.length(words, 0) or _has_ending(shape, words[0]):
        return None
    if shape.holds and not any(
        shape.holds.length(words, at) or (shape.shape == "hours" and at == 0 and _HOUR.fullmatch(words[at].folded))
        for at in range(len(words))
    ):
        return None
    if any(_is_stop(found, words, at) for at in range(len(words))) or not any(
        letter.isalpha() or (shape.shape == "hours" and letter.isdigit()) for word in words for letter in word.text
    ):
        return None
    return join(list(words))


def _listed(found: Clauses, shape: Shape, items: Sequence[_Item]) -> _Made:
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


def _hours(found: Clauses, shape: Shape, items: Sequence[_Item]) -> _Made:
    words: list[Word] = list(items[0].words)
    used = 1
    for item in items[1:]:
        if item.joint == "," and not item.words[0].text[:1].isdigit():
            break
        words += [*(() if item.joint == "," else (Word(item.joint, item.joint),)), *item.words]
        used += 1
    text = _thing(found, shape, words, most=shape.most)
    return ((text,), items[used - 1].end) if text else _NONE


def _names(found: Clauses, shape: Shape, items: Sequence[_Item]) -> _Made:
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


_SHAPES: dict[str, Callable[[Clauses, Shape, Sequence[_Item]], _Made]] = {
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
