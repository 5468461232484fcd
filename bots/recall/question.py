"""What a message looks for in earlier turns: its words, whose words they were, and when it was said. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from bots.recall.indexing import SIMPLE, asks, config_of, indexed
from bots.recall.vocabulary import Vocabulary, count, vocabulary, words_of
from bots.sought import Side, Sought

#: Longer messages are read up to here.
_MOST_CHARS = 2000
_DAYS_A_MONTH = 31
_YEAR = re.compile(r"(?:19|20)\d\d")
_DAY = re.compile(r"(\d{1,2})(?:st|nd|rd|th|er|º|ª)?")
_WRITTEN = re.compile(r"\b((?:19|20)\d\d)-(\d\d)-(\d\d)\b")
#: How many words may stand between a day and its month ("3 de mayo", "the 3rd of May").
_NEAR = 2


def read(
    text: str, *, language: str, today: date, zone: str = "UTC", also: str = "", names: Mapping[str, Side] | None = None
) -> Sought | None:
    """What a message looks for; None for small talk, and where there are no words.

    today: where its writer is, in this time zone. also: another language that earlier turns may be in. names: those of the contact and of the assistant, which stand for "I" and "you".
    """
    text = text[:_MOST_CHARS]
    words = words_of(text)
    known = vocabulary(language)
    if not words or is_small_talk(words, language):
        return None
    called: dict[str, Side] = {name.lower(): side for name, side in (names or {}).items() if name}
    sides: set[Side] = {side for name, side in called.items() if count((" ".join(words_of(name)),), words)}
    nameless = _without(text, called)
    configs = tuple(dict.fromkeys((config_of(text, language), *((config_of(text, also),) if also else (SIMPLE,)))))
    if known is None:
        return Sought(words=indexed(nameless), configs=configs, text=nameless, side=_one(sides))
    if not sides:
        sides = {side for side, spoken in _spoken(known).items() if not spoken.isdisjoint(words)}
    # Who tells of a day does not ask what was said on it.
    is_question = asks(text) or count((*known.when, *known.asks), words) > 0
    months = _months(words, known) if is_question else []
    year = next((int(word) for word in words if _YEAR.fullmatch(word)), None)
    since, until, is_over = _days(text, words, known, today) if is_question else (None, None, False)
    if months and year:
        is_over = is_over or (year, months[0][1]) < (today.year, today.month)
    is_past = is_over or count(known.past, words) > 0 or any(word.endswith(known.past_endings) for word in words)
    return Sought(
        words=indexed(" ".join(word for word in words_of(nameless) if word not in known.stop) if known.stop else nameless),
        configs=configs,
        text=nameless,
        side=_one(sides),
        when=count(known.when, words) > 0,
        months=tuple(dict.fromkeys(month for _, month in months)),
        year=year if months else None,
        day=_day(words, [at for at, _ in months]),
        since=since,
        until=until,
        zone=zone,
        may_be_ahead=not is_past,
    )


def is_small_talk(words: Sequence[str], language: str) -> bool:
    """Whether words are nothing but greetings, thanks and the like, in this language or in English, which people everywhere mix in."""
    line = f" {' '.join(words)} "
    for known in filter(None, map(vocabulary, dict.fromkeys((language, "en")))):
        for phrase in known.small_talk:
            line = line.replace(f" {phrase} ", " ").replace(f" {phrase} ", " ")
    return not line.strip()


def _spoken(known: Vocabulary) -> Mapping[Side, frozenset[str]]:
    return {"contact": known.first, "answers": known.second}


def _one(sides: set[Side]) -> Side | None:
    """The side that is asked for; None where both are, or none."""
    return next(iter(sides)) if len(sides) == 1 else None


def _without(text: str, names: Mapping[str, Side]) -> str:
    """The text without names: who is spoken to is named in greetings, and a name would find those."""
    for name in sorted(names, key=len, reverse=True):
        text = re.sub(rf"\b{re.escape(name)}\b(?:['\u2019]s\b)?", " ", text, flags=re.IGNORECASE)
    return " ".join(text.split())


def _months(words: Sequence[str], known: Vocabulary) -> list[tuple[int, int]]:
    """Where months stand, and which."""
    found = list[tuple[int, int]]()
    for at in range(len(words)):
        for length in (1, 2):
            spelling = " ".join(words[at : at + length])
            month = known.months.get(spelling)
            beside = [*words[max(at - 1, 0) : at], *words[at + length : at + length + 1]]
            if month and (
                spelling not in known.unsure
                or known.before.intersection(words[max(at - 1, 0) : at])
                or any(one[0].isdecimal() for one in beside)
            ):
                found.append((at, month))
    return found


def _day(words: Sequence[str], months: Sequence[int]) -> int | None:
    """The day of a month that stands near the month."""
    for at in months:
        for word in (*reversed(words[max(at - _NEAR, 0) : at]), *words[at + 1 : at + 1 + _NEAR]):
            match = _DAY.fullmatch(word)
            if match and 1 <= int(match[1]) <= _DAYS_A_MONTH:
                return int(match[1])
    return None


def _days(text: str, words: Sequence[str], known: Vocabulary, today: date) -> tuple[date, date, bool] | tuple[None, None, bool]:
    """The first and the last of the days that are named from today's, and whether they are surely over."""
    if written := _WRITTEN.search(text):
        try:
            day = date(int(written[1]), int(written[2]), int(written[3]))
        except ValueError:
            return None, None, False
        return day, day + timedelta(days=1), day < today
    monday, first_of_month = today - timedelta(days=today.weekday()), today.replace(day=1)
    spans = {
        known.last_week: (monday - timedelta(days=7), monday, True),
        known.last_month: ((first_of_month - timedelta(days=1)).replace(day=1), first_of_month, True),
        known.last_year: (date(today.year - 1, 1, 1), date(today.year, 1, 1), True),
        known.yesterday: (today - timedelta(days=1), today, True),
        known.today: (today, today, False),
    }
    for spelling, weekday in known.weekdays.items():
        day = today - timedelta(days=(today.weekday() - weekday) % 7 or 7)
        spans[(spelling,)] = (day, day + timedelta(days=1), False)
    return next((span for phrases, span in spans.items() if count(phrases, words)), (None, None, False))
