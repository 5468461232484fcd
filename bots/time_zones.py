"""The time zone of a contact: that of their phone number; else the bot's, else the installation's, else UTC (docs/decisions/0039).

The zones of countries are data in time_zones.toml.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from functools import cache, lru_cache
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import phonenumbers
from phonenumbers import timezone

from bots.domain import IdentityKind

_UTC = "UTC"
#: Digits of an ordinary number with its calling code.
_SHORTEST, _LONGEST = 9, 15
#: The digits of a number in North America with its calling code, and of the line within an exchange.
_NORTH_AMERICAN, _LINE = 11, 4


class Handle(Protocol):
    """One identity of a contact."""

    @property
    def kind(self) -> str:
        """One of IdentityKind."""
        ...

    @property
    def value(self) -> str:
        """The identity itself, such as a phone number."""
        ...


def zone_of(identities: Iterable[Handle], *defaults: str | None) -> ZoneInfo:
    """The time zone of a contact with these identities; else the first of the defaults that is one."""
    numbers = (one.value for one in identities if one.kind == IdentityKind.PHONE)
    return next((zone for zone in map(_zone, (*map(_zone_name, numbers), *defaults)) if zone), ZoneInfo(_UTC))


def _zone_name(number: str) -> str | None:
    """The zone of a phone number, with or without its plus; None where it has no country."""
    digits = "".join(sign for sign in number if sign.isdigit())
    if digits.startswith("1") and digits.isascii() and len(digits) == _NORTH_AMERICAN:
        # Twenty-five countries share this calling code, so that the library looks through them all. The lines of one exchange are in one place.
        digits = digits[:-_LINE] + "0" * _LINE
    return _zone_of_digits(digits)


@lru_cache(maxsize=10_000)
def _zone_of_digits(digits: str) -> str | None:
    """The zone of a number, which is its calling code and what follows.

    The library lists all zones that a range of numbers may be in, for some countries a wrong one (findings/phonenumbers-zone-of-another-country.sh):
    what it says counts only within a country with several.
    """
    alone = _only_country(digits)
    if alone in _zones()["one"]:
        return _zones()["one"][alone]
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


def _only_country(digits: str) -> str:
    """The country of a number of an ordinary length whose calling code no other country has; else empty. Nothing else of it needs to be read."""
    if digits.isascii() and digits[:1] != "0" and _SHORTEST <= len(digits) <= _LONGEST:
        for length in (1, 2, 3):
            regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(digits[:length]), ())
            if regions:
                return regions[0] if len(regions) == 1 else ""
    return ""


@lru_cache(maxsize=1_000)
def _zone(name: str | None) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


@cache
def _zones() -> dict[str, dict[str, str]]:
    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
