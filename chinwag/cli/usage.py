"""`chinwag usage`: tokens and money of a month, by bot, model or day."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

import msgspec
import typer

from bots.admin import usage
from bots.admin.money import money
from bots.storage.usage import Month, Sum
from chinwag.cli.use_cases import use_cases


class By(StrEnum):
    """What each line of the table sums up."""

    BOT = "bot"
    MODEL = "model"
    DAY = "day"


def command(
    month: Annotated[str | None, typer.Option(metavar="2026-11", help="The month (UTC); default: the current one.")] = None,
    by: Annotated[By, typer.Option(help="What each line of the table sums up.")] = By.BOT,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: the whole month, and by day, bot and model.")] = False,
) -> None:
    """Show the usage of a month: model calls, tokens and costs in USD. Days and months are in UTC.

    Try: chinwag usage --by day
    """
    first = None if month is None else usage.month_of(month)
    if month is not None and first is None:
        raise typer.BadParameter(f"{month} is not a month: write it as in 2026-11.", param_hint="--month")
    with use_cases() as (deps, operator):
        found = usage.read(deps, operator, first).month
    if as_json:
        sys.stdout.write(json.dumps(msgspec.to_builtins(found), ensure_ascii=False) + "\n")
        return
    rows = [("", "money", "calls", "tokens in", "cached", "tokens out", "estimated"), *_named(found, by), _cells("total", found.total)]
    sys.stdout.write(f"{found.first:%B %Y} (UTC), counted until {found.counted_until:%Y-%m-%d %H:%M:%S}\n{_table(rows)}")


def _named(month: Month, by: By) -> list[tuple[str, ...]]:
    if by is By.BOT:
        return [_cells(one.name or "removed", one) for one in month.bots]
    if by is By.MODEL:
        return [_cells(f"{one.model or '?'} at {one.endpoint or '?'}", one) for one in month.models]
    return [_cells(f"{one.day} {one.kind}", one) for one in month.days]


def _cells(name: str, one: Sum) -> tuple[str, ...]:
    return (
        name,
        money(one.cost),
        f"{one.calls:,}",
        f"{one.tokens_in:,}",
        f"{one.tokens_cached:,}",
        f"{one.tokens_out:,}",
        f"{one.calls_estimated:,}",
    )


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    """Aligned columns: names to the left, numbers to the right."""
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) if n == 0 else cell.rjust(width) for n, (cell, width) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    ]
    return "".join(f"{line.rstrip()}\n" for line in lines)
