"""What the platform knows of the people behind the numbers: both their ids, when they last wrote, how often they were written to."""

from __future__ import annotations

import time
from dataclasses import dataclass

from chinwag.practice.numbers import Number
from chinwag.practice.refusals import Refusal

_WINDOW_S = 24 * 3600.0
#: One message per 6 s to one person, 45 of them in a burst.
_PAIR_S, _PAIR_BURST = 6.0, 45


@dataclass(slots=True)
class _Pair:
    """One number and one person."""

    wrote_at: float | None = None
    #: When everything that was borrowed from the future is paid back.
    paid_at: float = 0.0


class People:
    """Everyone who wrote to, or was written to by, a number."""

    def __init__(self) -> None:
        self._pairs: dict[tuple[str, str], _Pair] = {}
        self._bsuids: dict[str, str] = {}

    def wrote(self, number: Number, *, phone: str, bsuid: str) -> None:
        """Note that a person wrote, under one id or both."""
        if phone and bsuid:
            self._bsuids[phone] = bsuid
        for handle in (phone, bsuid):
            if handle:
                self._pair(number, handle).wrote_at = time.monotonic()

    def bsuid_of(self, phone: str) -> str:
        """Return the business-scoped id that came with this phone, or an empty string."""
        return self._bsuids.get(phone, "")

    def admit(self, number: Number, handle: str) -> None:
        """Apply the rules on writing to a person, those that the number has switched on. Raises Refusal."""
        if not (number.enforce_window or number.enforce_pair_limit):
            return
        pair, now = self._pair(number, handle), time.monotonic()
        if number.enforce_window and (pair.wrote_at is None or now - pair.wrote_at > _WINDOW_S):
            raise Refusal(131047, "More than 24 hours have passed since the customer last replied to this number.")
        if number.enforce_pair_limit:
            paid_at = max(pair.paid_at, now) + _PAIR_S
            if paid_at - now > _PAIR_S * _PAIR_BURST:
                raise Refusal(131056, "Too many messages sent from this number to the same person in a short time.")
            pair.paid_at = paid_at

    def _pair(self, number: Number, handle: str) -> _Pair:
        return self._pairs.setdefault((number.phone_number_id, handle), _Pair())
