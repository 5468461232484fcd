"""What pages, API and commands say of tokens and money. Synchronous reads, and a month's form in addresses."""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from sqlalchemy import Engine

from bots.storage import usage
from bots.storage.database import hot
from bots.storage.usage import DaySum, Line, Month, Sum

#: A month as it stands in addresses: 2026-11.
MONTH = r"^20[0-9]{2}-(0[1-9]|1[0-2])$"
_COLUMNS = ("day", "bot", "kind", "endpoint", "model", "calls", "tokens_in", "tokens_cached", "tokens_out", "cost_usd")
#: A spreadsheet takes words that begin like this for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A month and the months that there are."""

    month: Month
    months: tuple[date, ...]


def month_of(word: str) -> date | None:
    """Read a month's first day; None for anything else."""
    return date.fromisoformat(f"{word}-01") if re.fullmatch(MONTH.removeprefix("^").removesuffix("$"), word, re.ASCII) else None


def read(crossing: Engine, tenant: UUID, first: date | None) -> Shown:
    """Read a month, the current one where none is named. Raises StorageUnavailable."""
    with hot(crossing) as connection:
        months = usage.months(connection, tenant=tenant)
        return Shown(month=usage.month(connection, tenant=tenant, first=first or months[0]), months=tuple(months))


def as_csv(crossing: Engine, tenant: UUID, first: date) -> str:
    """Write all sums of a month as CSV. Raises StorageUnavailable."""
    with hot(crossing) as connection:
        lines = usage.lines(connection, tenant=tenant, first=first)
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(_COLUMNS)
    writer.writerows(cells(line) for line in lines)
    return out.getvalue()


def days_of(first: date) -> list[date]:
    """The days of the month that begins here."""
    return [day for n in range(31) if (day := first + timedelta(days=n)).month == first.month]


def by_day(days: Sequence[DaySum]) -> Mapping[date, Sum]:
    """Add up what there is of each day; of a day that is not there: nothing."""
    found: defaultdict[date, Sum] = defaultdict(Sum)
    for one in days:
        known = found[one.day]
        found[one.day] = Sum(
            calls=known.calls + one.calls,
            tokens_in=known.tokens_in + one.tokens_in,
            tokens_cached=known.tokens_cached + one.tokens_cached,
            tokens_out=known.tokens_out + one.tokens_out,
            cost=known.cost + one.cost,
        )
    return found


def cells(line: Line) -> tuple[object, ...]:
    """Write a line's cells; no word of them is taken for a formula."""
    words = [f"'{word}" if word.startswith(_FORMULA) else word for word in (line.bot, line.kind, line.endpoint, line.model)]
    return (line.day.isoformat(), *words, line.calls, line.tokens_in, line.tokens_cached, line.tokens_out, f"{line.cost:.9f}")
