"""How much of a talk a model takes notes of in one call: as much as it can read and answer in good time, learned from its calls before.

A process learns for itself and starts anew with the whole: a first call that takes too long costs one try.
"""

from __future__ import annotations

import sys

from inference.settings import ModelSettings

#: The share of the time limits that a call is to take.
_SHARE = 0.5
#: Fewer tokens are never asked for: one long message.
_LEAST = 100


class Portions:
    """The portions of each profile's model. Threads share it; the newest call wins."""

    def __init__(self, settings: ModelSettings) -> None:
        self._settings = settings
        self._most: dict[str, int] = {}

    def most(self, profile: str) -> int:
        """How many tokens of a talk to summarise in one call."""
        return self._most.get(profile, sys.maxsize)

    def well(self, profile: str, tokens: int, *, first_token_ms: float | None, total_ms: float | None) -> None:
        """A call with so many tokens of a talk gave notes."""
        limits = ((self._settings.first_token_s, first_token_ms), (self._settings.total_s, total_ms))
        fits = [tokens * limit_s * 1000 * _SHARE / took_ms for limit_s, took_ms in limits if took_ms]
        if fits:
            self._most[profile] = max(_LEAST, int(min(fits)))

    def too_much(self, profile: str, tokens: int) -> None:
        """A call with so many tokens of a talk gave none."""
        self._most[profile] = max(_LEAST, tokens // 2)
