"""Gets a value from the words after a lead: where it ends, and whether it is a name, a place, a trade or a taste at all."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence

from bots.extract.rules import Language, Rule
from bots.extract.words import QUOTED, Word, join

_MAX_NAME_WORDS = 4
_MAX_PLACE_WORDS = 6
_MAX_TRADE_WORDS = 5
#: "I work as a DJ".
_MOST_INITIALS = 4
_MAX_TASTE_WORDS = 7
_MAX_LATER_TASTE_WORDS = 4
_MAX_TASTES = 6
_NAME_PARTICLES = frozenset(
    {"de", "da", "do", "dos", "das", "del", "la", "las", "los", "van", "von", "der", "den", "bin", "ibn", "al", "el", "y", "e", "di", "o'"}
)
_PLACE_JOINTS = frozenset(
    {
        "de",
        "da",
        "do",
        "dos",
        "das",
        "del",
        "la",
        "las",
        "los",
        "el",
        "san",
        "the",
        "of",
        "new",
        "upon",
        "y",
        "e",
        "and",
        "sur",
        "le",
        "rio",
        "são",
        "sao",
        "a",
        "o",
    }
)
#: Directly after a value these make it part of an address, a token or a label.
_SUSPICIOUS = frozenset(":<>|[]{}\\=@#$%^/")
_HYPHENS = frozenset({"-"})
_DEFINITE = {"en": frozenset({"the"}), "es": frozenset({"el", "la"}), "pt": frozenset({"o", "a"})}
_ARTICLES = frozenset[str]().union(*_DEFINITE.values())
_INSIDE = frozenset({"in", "on", "from", "en", "por", "em", "no", "na"})
_AT_HOME = frozenset({"casa", "home"})
#: Before these an English trade is named: "head of sales".
_OF = frozenset({"of", "for", "in", "at", "with"})
#: The longest phrase in the lists of what is no value.
_MOST_PHRASE_WORDS = 3

_Check = Callable[[Rule, tuple[Word, ...]], tuple[str, ...]]


def values(rule: Rule, after: Sequence[Word], ends: int) -> tuple[str, ...]:
    """Return the values in these words by the rule; `ends` is where the next statement begins."""
    language = rule.language
    cuts = language.words["taste_cuts" if rule.check == "taste" else "cuts"]
    span: list[Word] = []
    for at, word in enumerate(after[:ends]):
        if word.text == QUOTED or word.text in _SUSPICIOUS or unicodedata.category(word.text[0]) in {"Cc", "Cf", "Co", "Cn"}:
            return ()
        if word.text == "," and _contrasts(language, after[at + 1 :]):
            return _CHECKS[rule.check](rule, tuple(span)) if span or rule.check == "counted" else ()
        if _ends_value(language, after, at, first=not span):
            break
        if cuts.length_at(after, at):
            if not span and rule.check != "counted":
                return ()
            break
        span.append(word)
    rest = after[len(span) :]
    if rule.check == "counted" and _is_figurative(rest):
        return ()
    # What follows may negate the value: "I live in Porto no more", "I like tea, not".
    if _taken_back(language, rest[:4]) or any(language.words["negations"].holds(word) for word in span):
        return ()
    while span and (span[-1].text == "," or language.words["conjunctions"].holds(span[-1])):
        span.pop()
    return _CHECKS[rule.check](rule, tuple(span)) if span or rule.check == "counted" else ()


def _is_figurative(rest: Sequence[Word]) -> bool:
    """Whether a place that is no proper one follows what somebody has: "a dog in this fight", not "a sister in Porto" and "a dog at home"."""
    return len(rest) > 1 and rest[0].folded in _INSIDE and not rest[1].text[0].isupper() and rest[1].folded not in _AT_HOME


def _ends_value(language: Language, words: Sequence[Word], at: int, *, first: bool) -> bool:
    word = words[at]
    if not word.is_word and word.text not in {",", "&"} and word.text not in _HYPHENS:
        return True
    if not first:
        before = words[at - 1]
        joined = before.text == "," or language.words["conjunctions"].holds(before)
        return joined and language.words["clause_words"].length_at(words, at) > 0
    return False


def _contrasts(language: Language, rest: Sequence[Word]) -> bool:
    """Whether what follows the comma leaves the value valid: ", not Maria", ", don't forget". A lone ", not" does not."""
    return len(rest) > 1 and language.words["negations"].holds(rest[0]) and rest[1].is_word


def _taken_back(language: Language, rest: Sequence[Word]) -> bool:
    """Whether there is a negation right after the value and before another clause."""
    for word in rest:
        if language.words["negations"].holds(word):
            return True
        if language.words["clause_words"].holds(word):
            return False
    return False


def _until_joint(language: Language, span: Sequence[Word]) -> tuple[Word, ...]:
    """The words up to the first comma or conjunction."""
    kept: list[Word] = []
    for word in span:
        if word.text == "," or language.words["conjunctions"].holds(word):
            break
        kept.append(word)
    return tuple(kept)


def _without_article(language: Language, span: Sequence[Word]) -> tuple[Word, ...]:
    if len(span) > 1 and language.words["articles"].holds(span[0]) and span[0].text.islower():
        return tuple(span[1:])
    return tuple(span)


def _as_name(language: Language, span: Sequence[Word]) -> str | None:
    words = tuple(span)
    if not 0 < len(words) <= _MAX_NAME_WORDS or _has_ending(language, words[0], "word_endings", but="names"):
        return None
    refused = language.folded["not_names"]
    for at, word in enumerate(words):
        if any(letter.isdigit() for letter in word.text) or not word.text[0].isalpha():
            return None
        particle = 0 < at < len(words) - 1 and word.folded in _NAME_PARTICLES
        if not particle and (word.folded in refused or language.words["stops"].holds(word)):
            return None
    if all(word.text.islower() for word in words):
        return " ".join(word.text if word.folded in _NAME_PARTICLES else word.text[0].upper() + word.text[1:] for word in words)
    # "Marta thank god its friday": once capitals are used, words without them are not part of the name.
    if not all(word.text[0].isupper() or word.folded in _NAME_PARTICLES for word in words) and words[0].text[0].isupper():
        head: list[Word] = []
        for word in words:
            if not word.text[0].isupper() and word.folded not in _NAME_PARTICLES:
                return None
            head.append(word)
        words = tuple(head)
    return join(words)


def _name(rule: Rule, span: tuple[Word, ...]) -> tuple[str, ...]:
    name = _as_name(rule.language, _until_joint(rule.language, span))
    return (name,) if name else ()


def _proper_name(rule: Rule, span: tuple[Word, ...]) -> tuple[str, ...]:
    words = _until_joint(rule.language, span)
    if (
        not words
        or not all(word.is_capitalised or word.folded in _NAME_PARTICLES for word in words)
        or words[0].folded in rule.language.folded["languages"]
    ):
        return ()
    return _name(rule, span)


def _place(rule: Rule, span: tuple[Word, ...]) -> tuple[str, ...]:
    language = rule.language
    words = list(_until_joint(language, span))
    tail = span[len(words) :]
    # "Porto, Portugal" and "Trinidad and Tobago": whatever is joined must be written like a name and end there.
    if 1 < len(tail) <= 4 and all(word.is_capitalised for word in tail[1:]):
        words.extend(tail)
    if not 0 < len(words) <= _MAX_PLACE_WORDS or not any(word.is_word for word in words):
        return ()
    # "White Plains" and "Red Deer" are places; "black" and "red" are what people live in.
    is_proper = len(words) > 1 and all(word.is_capitalised for word in words)
    if _begins_with(words, language.folded["not_places"], least=1 + is_proper) or any(
        language.words["stops"].holds(word) for word in words
    ):
        return ()
    if words[0].text.islower() and _has_ending(language, words[0], "state_endings", but="not_states"):
        return ()
    capitals = any(word.text[0].isupper() for word in words)
    if words[0].folded in _ARTICLES and not capitals:
        return ()
    if not capitals and len([word for word in words if word.folded not in _PLACE_JOINTS]) > 3:
        return ()
    return (join(tuple(words)),)


def _proper_place(rule: Rule, span: tuple[Word, ...]) -> tuple[str, ...]:
    named = next((word for word in span if word.folded not in _ARTICLES), span[0])
    return _place(rule, span) if named.text[0].isupper() else ()


def _language(rule: Rule, span: tuple[Word, ...]) -> tuple[str, ...]:
    known = rule.language.folded["languages"]
    kept: list[Word] = []
    for word in span:
        if word.folded not in known and word.text != "," and not rule.language.words["conjunctions"].holds(word):
            break
        kept.append(word)
    while kept and kept[-1].folded not in known:
        kept.pop()
    return (join(tuple(kept)),) if kept and kept[0].folded in known else ()


def _occupation(rule: Rule, span: tuple[Word, ...]) -> tuple[str, ...]:
    """A trade, by its name or its form. "I work as a dog" and "trabajo como loco" compare, "trabajo de noche" says when."""
    words = _without_article(rule.language, _until_joint(rule.language, span))
    return _as_trade(rule, words) if words and _is_trade(rule.language, words) else ()


def _as_trade(rule: Rule, words: Sequence[Word]) -> tuple[str, ...]:
    mocks = rule.language.folded["mock_trades"]
    if (
        not 0 < len(words) <= _MAX_TRADE_WORDS
        or any(word.folded in mocks for word in words)
        or any(rule.language.words["stops"].holds(word) for word in words)
    ):
        return ()
    return (join(tuple(words)),)


def _is_trade(language: Language, words: Sequence[Word]) -> bool:
    known = language.folded["occupations"] | language.folded["trades"]
    if language.code == "en":
        # English puts the trade last ("marine biologist"), Spanish and Portuguese first ("ingeniera civil").
        before_of = next((at for at, word in enumerate(words) if at and word.folded in _OF), len(words))
        heads = words[before_of - 1 : before_of]
    else:
        heads = words[:2]
    phrases = {
        " ".join(word.folded for word in words),
        " ".join(word.folded for word in words[:2]),
        " ".join(word.folded for word in words[-2:]),
    }
    if not known.isdisjoint(phrases):
        return True
    return any(
        head.folded in known
        or (len(head.text) <= _MOST_INITIALS and head.text.isupper() and head.text.isalpha())
        or _has_ending(language, head, "trade_endings", but="not_trades")
        for head in heads
    )


def _has_ending(language: Language, word: Word, endings: str, *, but: str) -> bool:
    """Whether a word has one of the endings of a list, with at least three letters before it, and is not in the other list."""
    folded = word.folded
    return folded not in language.folded[but] and any(
        folded.endswith(end) and len(folded) >= len(end) + 3 for end in language.folded[endings]
    )


def _begins_with(words: Sequence[Word], phrases: frozenset[str], *, least: int = 1) -> bool:
    return any(" ".join(word.folded for word in words[:length]) in phrases for length in range(least, _MOST_PHRASE_WORDS + 1))


def _known_occupation(rule: Rule, span: tuple[Word, ...]) -> tuple[str, ...]:
    """A trade from the list. "I'm the driver today" names a part that somebody plays."""
    if span[0].folded in _DEFINITE[rule.language.code]:
        return ()
    words = _without_article(rule.language, _until_joint(rule.language, span))
    known = rule.language.folded["occupations"]
    head = words[-1:] if rule.language.code == "en" else words[:1]
    trade = any(word.folded in known for word in head) or " ".join(word.folded for word in words) in known
    return _as_trade(rule, words) if trade and len(words) <= 3 else ()


def _called(rule: Rule, span: tuple[Word, ...]) -> tuple[str, ...]:
    return _name(rule, span)


def _counted(rule: Rule, span: tuple[Word, ...]) -> tuple[str, ...]:
    """Nothing may follow: a dog phobia is not a dog."""
    return ("",) if not _until_joint(rule.language, span) else ()


def _taste(rule: Rule, span: tuple[Word, ...]) -> tuple[str, ...]:
    language = rule.language
    items: list[list[Word]] = [[]]
    last_joint_is_conjunction = False
    for word in span:
        if word.text == "," or language.words["conjunctions"].holds(word):
            last_joint_is_conjunction = word.text != ","
            if items[-1]:
                items.append([])
        else:
            items[-1].append(word)
    # A list ends in "and"; words after a comma without one are another thought.
    chosen = items if last_joint_is_conjunction else items[:1]
    found: list[str] = []
    for at, item in enumerate(chosen[:_MAX_TASTES]):
        words = _taste_words(language, item, limit=_MAX_LATER_TASTE_WORDS if at else _MAX_TASTE_WORDS)
        if words is None:
            break
        found.append(join(words))
    return tuple(found)


def _taste_words(language: Language, item: Sequence[Word], *, limit: int) -> tuple[Word, ...] | None:
    words = tuple(item) if language.code == "en" else _without_article(language, item)
    if _begins_with(item, language.folded["not_tastes"]) or _begins_with(words, language.folded["not_tastes"]):
        return None
    if not 0 < len(words) <= limit or any(language.words["stops"].holds(word) for word in words):
        return None
    return words if any(letter.isalpha() for word in words for letter in word.text) else None


_CHECKS: dict[str, _Check] = {
    "name": _name,
    "proper_name": _proper_name,
    "place": _place,
    "proper_place": _proper_place,
    "language": _language,
    "occupation": _occupation,
    "known_occupation": _known_occupation,
    "called": _called,
    "counted": _counted,
    "taste": _taste,
}
