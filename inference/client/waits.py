"""How long a server asks not to be called again, by header or words, in seconds. Pure but for the clock, which dates are compared with."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

#: The longest that a full server is left alone, and an account without quota: beyond these the server is asked all the same.
MOST_BUSY_S = 600.0
MOST_QUOTA_S = 24 * 3600.0
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_NUMBER = r"\d+(?:\.\d+)?"
_SPAN = re.compile(
    rf"({_NUMBER})\s*(ms|milliseconds?|s(?:ec(?:ond)?s?)?|m(?:in(?:ute)?s?)?|h(?:(?:ou)?rs?)?|d(?:ays?)?)(?![a-z])", re.IGNORECASE
)
_WORDS = re.compile(
    rf"(?:(?:try|retry|wait|available|reset\w*|again|back)[^.\d]{{0,40}}?\b(?:in|after|for)|wait|retry[-_ ]?(?:after|delay))\W{{0,4}}((?:{_NUMBER}\s*[a-z]*\W{{0,2}}){{1,3}})",
    re.IGNORECASE,
)
_RESETS = (
    ("x-ratelimit-reset-requests", "x-ratelimit-remaining-requests"),
    ("x-ratelimit-reset-tokens", "x-ratelimit-remaining-tokens"),
    ("anthropic-ratelimit-requests-reset", "anthropic-ratelimit-requests-remaining"),
    ("anthropic-ratelimit-tokens-reset", "anthropic-ratelimit-tokens-remaining"),
    ("x-ratelimit-reset", "x-ratelimit-remaining"),
    ("ratelimit-reset", "ratelimit-remaining"),
)


def wait_of(headers: Mapping[str, str], figures: Mapping[str, str], words: str) -> float:
    """Return the seconds that a refusal names; 0 where it names none. Header names are in lower case, or the mapping ignores case."""
    named = (
        _seconds(headers.get("retry-after-ms", ""), unit=0.001),
        _seconds(headers.get("retry-after", "")),
        _seconds(figures.get("retryafterms", ""), unit=0.001),
        *(_seconds(figures.get(name, "")) for name in ("retrydelay", "retryafter", "retryafters", "retryafterseconds")),
    )
    wait = next((one for one in named if one), 0.0) or _in_words(words)
    return wait or _until_reset(headers)


def _in_words(words: str) -> float:
    found = _WORDS.search(words)
    return _seconds(found[1].strip(" .,;:!)\"'")) if found else 0.0


def _until_reset(headers: Mapping[str, str]) -> float:
    """The longest reset of what is used up; where that is not told, the shortest one."""
    waits = [(_seconds(headers.get(reset, "")), headers.get(left, "").strip()) for reset, left in _RESETS]
    used_up = [wait for wait, left in waits if wait and left == "0"]
    others = [wait for wait, _ in waits if wait]
    return max(used_up) if used_up else min(others, default=0.0)


def _seconds(told: str, *, unit: float = 1.0) -> float:
    """Read seconds, a span such as 6m0s, a date, or the time since 1970 in seconds or milliseconds."""
    told = told.strip()
    if re.fullmatch(_NUMBER, told):
        number = float(told) * unit
        if number > 1e12:
            number /= 1000
        return max(0.0, number - time.time()) if number > 1e9 else number
    spans = _SPAN.findall(told)
    if spans and told[0].isdigit() and not re.match(r"\d{4}-", told):
        return sum(float(number) * _UNITS["ms" if name.lower().startswith(("ms", "mil")) else name[0].lower()] for number, name in spans)
    if leading := re.match(rf"({_NUMBER})(?!\d*-)", told):
        return float(leading[1]) * unit
    return max(0.0, _date(told) - time.time()) if told else 0.0


def _date(told: str) -> float:
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            return read(told.replace("Z", "+00:00") if "T" in told else told).timestamp()
        except (ValueError, TypeError, OverflowError, IndexError):
            continue
    return 0.0
