"""How a day and a time are told in a language. The words are data in clock.toml."""

from __future__ import annotations

import tomllib
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any

_USUAL = "en"


def day_text(day: date, *, language: str) -> str:
    """A day as the language writes it."""
    words = _words(language)
    return str(words["date"]).format(day=day.day, month=words["months"][day.month - 1], year=day.year)


def now_texts(now: datetime, *, language: str) -> tuple[str, str]:
    """A question for the day and the time, and the answer with weekday and zone. now: in the contact's zone."""
    words = _words(language)
    return words["ask"], str(words["now"]).format(
        weekday=words["weekdays"][now.weekday()],
        day=now.day,
        month=words["months"][now.month - 1],
        year=now.year,
        time=f"{now:%H:%M}",
        zone=str(now.tzinfo),
    )


def _words(language: str) -> dict[str, Any]:
    return _texts().get(language) or _texts()[_USUAL]


@cache
def _texts() -> dict[str, dict[str, Any]]:
    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
