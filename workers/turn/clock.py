"""What time it is for a contact, and how a day and a time are told in a language.

A contact's zone is that of their phone number; else the bot's, else the installation's, else UTC (docs/decisions/0039). The words are data in
clock.toml, the zones of countries in zones.toml.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from datetime import date, datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import phonenumbers
from phonenumbers import timezone

from bots.domain import IdentityKind
from bots.storage.claims import Handle

_USUAL = "en"
_UTC = "UTC"


def zone_of(identities: Iterable[Handle], *defaults: str | None) -> ZoneInfo:
    """The time zone of a contact with these identities; else the first of the defaults that is one."""
    numbers = (one.value for one in identities if one.kind == IdentityKind.PHONE)
    return next((zone for zone in map(_zone, (*map(_zone_name, numbers), *defaults)) if zone), ZoneInfo(_UTC))


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


@lru_cache(maxsize=10_000)
def _zone_name(number: str) -> str | None:
    """The zone of a phone number, with or without its plus; None where it has no country.

    The library lists all zones that a range of numbers may be in, for some countries a wrong one: what it says counts only within a country
    with several.
    """
    digits = "".join(sign for sign in number if sign.isdigit())
    try:
        parsed = phonenumbers.parse("+" + digits)
    except phonenumbers.NumberParseException:
        return None
    region = phonenumbers.region_code_for_number(parsed) or phonenumbers.region_code_for_country_code(parsed.country_code or 0)
    if region in _zones()["one"]:
        return _zones()["one"][region]
    usual = _zones()["several"].get(region)
    named = [zone for zone in timezone.time_zones_for_number(parsed) if zone != timezone.UNKNOWN_TIMEZONE]
    return usual if usual in named or not named else named[0]


@lru_cache(maxsize=1_000)
def _zone(name: str | None) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _words(language: str) -> dict[str, Any]:
    return _texts().get(language) or _texts()[_USUAL]


@cache
def _texts() -> dict[str, dict[str, Any]]:
    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))


@cache
def _zones() -> dict[str, dict[str, str]]:
    return tomllib.loads(Path(__file__).with_name("zones.toml").read_text("utf-8"))
