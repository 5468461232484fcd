"""Phrases of time: they are taken out of a sentence's words, and say a day once it is known whether something is past or to come."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from bots.extract.language import Language
from bots.extract.patterns import Node, Slot
from bots.extract.words import Word

_DAY = re.compile(r"(\d{1,2})(?:st|nd|rd|th|er|o|a|º|ª|\.)?", re.ASCII)
_CLOCK = re.compile(r"(?:[01]?\d|2[0-4])(?:[.:h]\d{2})?(?:h|am|pm|a\.m|p\.m|uhr)?|\d{4}", re.ASCII)
_YEAR = re.compile(r"(?:19|20)\d\d", re.ASCII)
_NUMERIC = re.compile(r"(\d{1,2})[./-](\d{1,2})(?:[./-](\d{4}|\d{2}))?", re.ASCII)
#: "Away 20-27 December".
_SPAN = re.compile(r"(\d{1,2})-(\d{1,2})", re.ASCII)
#: A phrase has at most so many words.
_LONGEST = 14
#: Larger than any hour that is written as a word.
_NO_HOUR = 99
#: "Moved from the 3rd to the 10th": how far before the days the word for it stands.
_NEAR = 3

_Days = tuple[date, date | None]


@dataclass(frozen=True, slots=True)
class Moment:
    """What a phrase of time means."""

    means: str
    #: The numbers in its slots.
    slots: dict[str, int]
    #: Before which of the remaining words it stood.
    at: int = 0

    def coming(self, today: date) -> _Days | None:
        """The first and last day that it means of what is to come; None when it means none."""
        days = self._days(today, past=False)
        return days if days is not None and (days[1] or days[0]) >= today else None

    def past(self, today: date) -> date | None:
        """The first day that it means of what has been; None when it means none."""
        days = self._days(today, past=True)
        return days[0] if days is not None and days[0] <= today else None

    def _days(self, today: date, *, past: bool) -> _Days | None:  # noqa: PLR0911 - one return for each kind of phrase
        what, _, rest = self.means.partition(" ")
        try:
            if what == "weekday" and rest == "+1":
                return _period("week", 1, today)[0] + timedelta(days=self.slots["weekday"]), None
            if what == "weekday":
                return self._weekday(today, past=(rest == "last") or (past and rest != "next"))
            if what in {"date", "range"} and not (past and rest == "next"):
                return _dates(self.slots, today, past=past)
            if what in {"ago", "ahead"}:
                return _moved(today, rest, self.slots["n"] * (-1 if what == "ago" else 1)), None
            if what == "weekend":
                monday = _period("week", int(rest), today)[0]
                return monday + timedelta(days=5), monday + timedelta(days=6)
            if what in {"day", "week", "month", "year"}:
                return _period(what, int(rest), today)
        except (ValueError, OverflowError, KeyError):
            # No such day, such as 31 February.
            return None
        return None

    def _weekday(self, today: date, *, past: bool) -> _Days:
        ahead = (self.slots["weekday"] - today.weekday()) % 7 or 7
        # "Last Monday" is never a day to come, nor "next Monday" one that was.
        return today + timedelta(days=ahead - 7 if past and ahead < 7 else -7 if past else ahead), None


def take_out(language: Language, words: Sequence[Word]) -> tuple[list[Word], list[Moment]]:
    """Return the words without phrases of time, and those, each with its place."""
    found = _phrases(language, words)
    if not found:
        return list(words), []
    kept: list[Word] = []
    moments: list[Moment] = []
    end = 0
    for start, stop, means, slots in found:
        kept.extend(words[end:start])
        if means != "skip":
            moments.append(Moment(means, slots, len(kept)))
        end = stop
    kept.extend(words[end:])
    return kept, moments


def _phrases(language: Language, words: Sequence[Word]) -> list[tuple[int, int, str, dict[str, int]]]:
    found: list[tuple[int, int, str, dict[str, int]]] = []
    at = 0
    starts = language.time_starts
    while at < len(words):
        folded = words[at].folded
        best = _longest(language, words, at) if folded in starts or folded[:1].isdigit() else None
        if best is None:
            at += 1
            continue
        stop, means, slots = best
        if means in {"keep", "range"} and _was_moved(language, words, at):
            # "Moved from Tuesday to Friday" speaks of two days, not of those between.
            means, slots = _last_of(means, slots)
        if means != "keep":
            found.append((at, stop, means, slots))
        at = stop
    return _without_lone_clocks(found)


def _was_moved(language: Language, words: Sequence[Word], at: int) -> bool:
    moved = language.lists.get("moved")
    return moved is not None and any(moved.length(words, before) for before in range(max(at - _NEAR, 0), at))


def _last_of(means: str, slots: dict[str, int]) -> tuple[str, dict[str, int]]:
    """The last day of a span as a phrase of its own."""
    if means == "keep":
        return ("weekday", slots) if "weekday" in slots else (means, slots)
    day, month = slots.get("day2"), slots.get("month2", slots.get("month"))
    return "date", {name: number for name, number in (("day", day), ("month", month), ("year", slots.get("year"))) if number is not None}


def _without_lone_clocks(found: list[tuple[int, int, str, dict[str, int]]]) -> list[tuple[int, int, str, dict[str, int]]]:
    """Keep hours only beside another phrase of time: "free between 10 and 2" is none."""
    kept: list[tuple[int, int, str, dict[str, int]]] = []
    for number, phrase in enumerate(found):
        if phrase[2] == "clock":
            behind = number > 0 and found[number - 1][1] == phrase[0] and bool(kept) and kept[-1] is found[number - 1]
            after = number + 1
            stop = phrase[1]
            while after < len(found) and found[after][2] == "clock" and found[after][0] == stop:
                stop, after = found[after][1], after + 1
            before = after < len(found) and found[after][0] == stop and found[after][2] != "clock"
            if not (behind or before):
                continue
        kept.append(phrase)
    return kept


def _longest(language: Language, words: Sequence[Word], at: int) -> tuple[int, str, dict[str, int]] | None:
    root = language.times
    best: tuple[int, str, dict[str, int]] | None = None
    for stop, means, slots in _walk(language, root, words, at, at, {}):
        if best is None or stop > best[0]:
            best = (stop, means, slots)
    return best


def _walk(  # noqa: PLR0917 - the state of a walk
    language: Language, node: Node[str], words: Sequence[Word], start: int, at: int, slots: dict[str, int]
) -> Iterator[tuple[int, str, dict[str, int]]]:
    for means in node.open().ends:
        yield at, means, slots
    if node.comma is not None:
        yield from _walk(language, node.comma, words, start, at + (at < len(words) and words[at].text == ","), slots)
    if at >= len(words) or at - start >= _LONGEST:
        return
    word = words[at]
    following = node.words.get(word.folded)
    if following is not None:
        yield from _walk(language, following, words, start, at + 1, slots)
    exact = node.words.get("=" + word.text.lower()) if node.exact else None
    if exact is not None:
        yield from _walk(language, exact, words, start, at + 1, slots)
    for slot, behind in node.slots.items():
        for stop, numbers in _slot(language, slot, words, at):
            yield from _walk(language, behind, words, start, stop, {**slots, **numbers})


def _slot(language: Language, slot: Slot, words: Sequence[Word], at: int) -> list[tuple[int, dict[str, int]]]:  # noqa: PLR0911 - one return for each slot
    """What a slot may be here: where it ends, and its numbers."""
    folded, name = words[at].folded, slot.words
    match name:
        case "weekday":
            day = language.weekdays.get(folded)
            return [] if day is None else [(at + 1, {slot.name: day})]
        case "month":
            month = language.months.get(folded)
            return [] if month is None else [(at + 1 + _dot(words, at), {slot.name: month})]
        case "day":
            return _day_slot(slot, words, at) if folded[:1].isdigit() else []
        case "year":
            return [(at + 1, {slot.name: int(folded)})] if _YEAR.fullmatch(folded) else []
        case "n":
            number = int(folded) if folded.isdecimal() and len(folded) < 4 else language.numbers.get(folded)
            return [] if number is None else [(at + 1, {slot.name: number})]
        case "clock":
            is_hour = _CLOCK.fullmatch(folded) if folded[:1].isdigit() else language.numbers.get(folded, _NO_HOUR) <= 12
            return [(at + 1, {})] if is_hour else []
        case _:
            length = language.lists[name].length(words, at) if name in language.lists else 0
            return [(at + length, {})] if length else []


def _day_slot(slot: Slot, words: Sequence[Word], at: int) -> list[tuple[int, dict[str, int]]]:
    """What a slot of a day may be that begins with a digit: the 5th, 20-27, 5/12/2026."""
    folded, found = words[at].folded, list[tuple[int, dict[str, int]]]()
    day = _DAY.fullmatch(folded)
    if day and 1 <= int(day[1]) <= 31:
        found.append((at + 1 + _dot(words, at), {slot.name: int(day[1])}))
    span = _SPAN.fullmatch(folded)
    if span and slot.name == "day" and 1 <= int(span[1]) < int(span[2]) <= 31:
        found.append((at + 1, {"day": int(span[1]), "day2": int(span[2])}))
    numeric = _NUMERIC.fullmatch(folded)
    if numeric and slot.name == "day" and "/" in folded + "/" and 1 <= int(numeric[2]) <= 12:
        year = {"year": int(numeric[3]) + (2000 if len(numeric[3]) == 2 else 0)} if numeric[3] else {}
        found.append((at + 1, {"day": int(numeric[1]), "month": int(numeric[2]), **year}))
    return found


def _dot(words: Sequence[Word], at: int) -> int:
    return int(at + 2 < len(words) and words[at + 1].text == "." and words[at + 1].is_glued)


def _dates(slots: dict[str, int], today: date, *, past: bool) -> _Days:
    first = _date(slots.get("day"), slots.get("month", slots.get("month2")), slots.get("year"), today, past=past)
    if "day" not in slots:
        last = first.replace(day=calendar.monthrange(first.year, first.month)[1]) if "month" in slots else first.replace(month=12, day=31)
        return first, last
    if "day2" not in slots:
        return first, None
    last = _after(first, slots["day2"], slots.get("month2"))
    return first, last


def _date(day: int | None, month: int | None, year: int | None, today: date, *, past: bool) -> date:
    if year is not None:
        return date(year, month or 1, day or 1)
    if month is not None:
        chosen = date(today.year, month, day or 1)
        # A whole month is to come until it ends.
        reached = chosen if day else chosen.replace(day=calendar.monthrange(chosen.year, month)[1])
        if past and chosen > today:
            return date(today.year - 1, month, day or 1)
        return date(today.year + 1, month, day or 1) if not past and reached < today else chosen
    if day is None:
        raise ValueError("no day")
    month_number = today.year * 12 + today.month - 1
    for step in range(13):
        at = month_number + (-step if past else step)
        if day > calendar.monthrange(at // 12, at % 12 + 1)[1]:
            continue
        chosen = date(at // 12, at % 12 + 1, day)
        if (chosen <= today) if past else (chosen >= today):
            return chosen
    raise ValueError("no such day")


def _after(first: date, day: int, month: int | None) -> date:
    if month is not None:
        last = date(first.year, month, day)
        return last if last >= first else date(first.year + 1, month, day)
    if day >= first.day:
        return first.replace(day=day)
    return (first.replace(day=28) + timedelta(days=4)).replace(day=day)


def _moved(today: date, unit: str, number: int) -> date:
    if unit == "day":
        return today + timedelta(days=number)
    if unit == "week":
        return today + timedelta(weeks=number)
    months = today.year * 12 + today.month - 1 + number * (12 if unit == "year" else 1)
    year, month = divmod(months, 12)
    return date(year, month + 1, min(today.day, calendar.monthrange(year, month + 1)[1]))


def _period(unit: str, number: int, today: date) -> _Days:
    if unit == "day":
        return today + timedelta(days=number), None
    if unit == "week":
        monday = today - timedelta(days=today.weekday()) + timedelta(weeks=number)
        return monday, monday + timedelta(days=6)
    if unit == "month":
        first = _moved(today.replace(day=1), "month", number)
        return first, first.replace(day=calendar.monthrange(first.year, first.month)[1])
    return date(today.year + number, 1, 1), date(today.year + number, 12, 31)
