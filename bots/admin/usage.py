"""Tokens and money of a month: read for pages, API and commands, and written as CSV."""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from bots.admin.acting import Operator
from bots.admin.deps import Deps
from bots.storage import usage
from bots.storage.database import hot
from bots.storage.usage import DaySum, Line, Month, Sum

#: A month as it is written in URLs: 2026-11.
MONTH = r"^20[0-9]{2}-(0[1-9]|1[0-2])$"
_COLUMNS = ("day", "bot", "kind", "endpoint", "model", "calls", "tokens_in", "tokens_cached", "tokens_out", "cost_usd", "calls_estimated")
#: A spreadsheet treats a text that begins with one of these as a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """A month's usage, and the months that have any."""

    month: Month
    months: tuple[date, ...]


def month_of(typed: str) -> date | None:
    """Return the first day of a month written like 2026-11; None for anything else."""
    return date.fromisoformat(f"{typed}-01") if re.fullmatch(MONTH.removeprefix("^").removesuffix("$"), typed, re.ASCII) else None


def read(deps: Deps, operator: Operator, first: date | None = None) -> Usage:
    """Read a month, the current one unless another is named. Raises StorageUnavailable."""
    tenant = operator.tenant_id
    with hot(deps.crossing) as connection:
        months = usage.months(connection, tenant=tenant)
        return Usage(month=usage.month(connection, tenant=tenant, first=first or months[0]), months=tuple(months))


def as_csv(deps: Deps, operator: Operator, first: date) -> str:
    """Write all sums of a month as CSV. Raises StorageUnavailable."""
    with hot(deps.crossing) as connection:
        lines = usage.lines(connection, tenant=operator.tenant_id, first=first)
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(_COLUMNS)
    writer.writerows(cells(line) for line in lines)
    return out.getvalue()


def days_of(first: date) -> list[date]:
    """The days of the month that begins here."""
    return [day for n in range(31) if (day := first + timedelta(days=n)).month == first.month]


def by_day(days: Sequence[DaySum]) -> Mapping[date, Sum]:
    """Add up each day; a day without usage counts as zero."""
    found: defaultdict[date, Sum] = defaultdict(Sum)
    for one in days:
        known = found[one.day]
        found[one.day] = Sum(
            calls=known.calls + one.calls,
            tokens_in=known.tokens_in + one.tokens_in,
            tokens_cached=known.tokens_cached + one.tokens_cached,
            tokens_out=known.tokens_out + one.tokens_out,
            cost=known.cost + one.cost,
            calls_estimated=known.calls_estimated + one.calls_estimated,
        )
    return found


def cells(line: Line) -> tuple[object, ...]:
    """Write a line's cells so that no spreadsheet treats one as a formula."""
    names = [f"'{name}" if name.startswith(_FORMULA) else name for name in (line.bot, line.kind, line.endpoint, line.model)]
    return (
        line.day.isoformat(),
        *names,
        line.calls,
        line.tokens_in,
        line.tokens_cached,
        line.tokens_out,
        f"{line.cost:.9f}",
        line.calls_estimated,
    )
