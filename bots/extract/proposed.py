"""Whether a fact that somebody else proposes, such as a model, is what a message plainly states about its writer: checked by the rules' own reading.

Guarantee: every word of what is admitted stands in the message, in words that its writer affirms of themself; the gate has the last word.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache
from pathlib import Path

from bots.domain import End, Fact, Statements
from bots.extract import extract, is_task
from bots.extract.clauses import Clauses, clauses, is_joke
from bots.extract.cues import cues, members, relatives
from bots.extract.files import likely
from bots.extract.gate import admit
from bots.extract.language import Language, language
from bots.extract.words import Sentence, Word, fold, sentences, split_words
from bots.kinds import kinds

#: These name somebody: all of their words have a capital letter, where the script has capitals.
_NAMED = frozenset({"name", "place", "addressing"})
#: Their value may hold a negation: "no meat", "not by phone".
_NEGATIVE = frozenset({"diet", "contact_pref"})
#: A relation or an animal, and a name: "daughter Amelie" of "my daughter is called Amelie".
_APART = frozenset({"family", "pet"})
#: Their words may be hours and weekdays, which rules take for phrases of time.
_TIMED = frozenset({"schedule", "contact_pref"})
#: Words of these lists are in no value.
_NO_VALUES = frozenset({"stops", "fillers"})
_MOST_WORDS = 5
_MOST_LONG_WORDS = 8
_LONG = frozenset({"schedule", "contact_pref", "plan"})
#: Written small within a name.
_PARTICLES = frozenset({"de", "da", "do", "dos", "das", "del", "della", "di", "la", "las", "los", "le", "van", "von", "der", "den", "zu", "bin", "binti", "ibn", "al", "el", "of", "the"})  # fmt: skip


def admitted(kind: str, value: str, text: str, *, today: date) -> Fact | None:
    """Return the fact in its normal form; None where the message does not plainly state it, or the rules read it in another way.

    today: the day on which the message was written, where the writer is.
    """
    words = [word for word in split_words(value) if word.is_word]
    if kind not in kinds() or not 0 < len(words) <= (_MOST_LONG_WORDS if kind in _LONG else _MOST_WORDS):
        return None
    found = sentences(text)
    for code in likely(word.folded for sentence in found for word in sentence.words):
        spoken = language(code)
        if any(is_task(spoken, sentence) for sentence in found):
            return None
        read = [clauses(spoken, sentence) for sentence in found]
        if is_joke(read):
            return None
        for sentence, one in zip(found, read, strict=True):
            if _states(spoken, sentence, one, kind, spoken.scissors.cut(words)):
                fact = _dated(kind, value, one, today)
                return None if fact is None or _is_read_otherwise(fact, extract(text, today=today)) else fact
    return None


def covers(end: End, fact: Fact) -> bool:
    """Whether an end is about this fact: of its kind, and with no other words."""
    return end.kind == fact.kind and (end.value is None or _words(end.value) <= _words(fact.value))


def _states(language: Language, sentence: Sentence, found: Clauses, kind: str, value: Sequence[Word]) -> bool:
    """Whether a sentence affirms this value of its writer, in words that the rules know for the kind."""
    at = _places(found, sentence, kind, [word.folded for word in value])
    if at is None or any(
        found.silent[place] or found.asked[place] or not found.signals[place].keys().isdisjoint(_NO_VALUES) for place in at
    ):
        return False
    # "I don't like onions" says it by a negation, the others say the opposite then.
    negations = [place for place in at if "negations" in found.signals[place]]
    if (negations and (kind not in _NEGATIVE or len(negations) == len(at))) or (kind != "dislikes" and found.is_negated(at[0])):
        return False
    if kind in _NAMED and not all(word.is_capitalised or word.text.isupper() or word.folded in _PARTICLES for word in value):
        return False
    start, end = found.clause_of(at[0])[0], found.clause_of(at[-1])[1]
    own = {word.folded for word in value}
    around = {word.folded for word in found.words[start:end]} - own
    # "Rash" beside "allergy" is no allergy to a rash: what says of which kind it is is another word, or the value is a known one, such as an illness.
    signs, known = cues(language.code)[kind], members(language.code)[kind]
    if own.isdisjoint(known) and (around.isdisjoint(signs) or own <= signs):
        return False
    # A clause may leave out its subject: "my neighbour lives in Leith and works as a nurse".
    so_far = {word.folded for word in found.words[:end]}
    return so_far.isdisjoint(_others(language.code)) and (kind == "family" or so_far.isdisjoint(relatives(language.code)))


def _places(found: Clauses, sentence: Sentence, kind: str, value: Sequence[str]) -> list[int] | None:
    """Where the words of a value stand: one behind the other, or, of a relation and a name, anywhere in the sentence; None where not all stand there."""
    words = [word.folded for word in found.words]
    for start in range(len(words) - len(value) + 1):
        if words[start : start + len(value)] == list(value):
            return list(range(start, start + len(value)))
    if kind in _APART:
        return sorted(words.index(word) for word in value) if set(value) <= set(words) else None
    if kind in _TIMED and set(value) <= {word.folded for word in sentence.words}:
        # What is left of it beside the phrases of time says whose hours they are.
        return sorted(words.index(word) for word in set(value) & set(words)) or None
    return None


def _dated(kind: str, value: str, found: Clauses, today: date) -> Fact | None:
    """The fact as the gate admits it; a plan has the day that its sentence names, and is none without."""
    if kind != "plan":
        return admit(Fact(kind=kind, value=value, topic=None))
    days = next((days for moment in found.moments if (days := moment.coming(today))), None)
    return admit(Fact(kind=kind, value=value, topic=None, day=days[0], last_day=days[1])) if days else None


def _is_read_otherwise(fact: Fact, rules: Statements) -> bool:
    """Whether the rules find the same words in the message as something else, as another value of a kind that has one, or as an end."""
    mine = _words(fact.value)
    for other in rules.facts:
        theirs = _words(other.value)
        if other.kind == fact.kind and (kinds()[fact.kind].single or mine & theirs) and mine != theirs:
            return True
        if other.kind != fact.kind and mine <= theirs:
            return True
    return any(end.kind == fact.kind and (end.value is None or mine & _words(end.value)) for end in rules.ends)


def _words(text: str) -> frozenset[str]:
    return frozenset(word.folded for word in split_words(text) if word.is_word)


@cache
def _others(code: str) -> frozenset[str]:
    """The words that speak of somebody else."""
    table: Mapping[str, Sequence[str]] = tomllib.loads((Path(__file__).parent / "others.toml").read_text("utf-8"))
    return frozenset(fold(word) for word in table.get(code, ()))
