"""What the platform knows about people: their ids, when they last wrote to an account, how often it wrote to them."""

from __future__ import annotations

import time
from dataclasses import dataclass

from chinwag.practice.accounts import Account
from chinwag.practice.numbers import Number
from chinwag.practice.refusals import Refusal

_WINDOW_S = 24 * 3600.0
#: A person at the business may still answer for this long (HUMAN_AGENT).
_HUMAN_WINDOW_S = 7 * 24 * 3600.0
#: One message per 6 s to one person, 45 of them in a burst.
_PAIR_S, _PAIR_BURST = 6.0, 45


@dataclass(slots=True)
class _Pair:
    """One account and one person."""

    wrote_at: float | None = None
    #: When the whole burst allowance is available again.
    paid_at: float = 0.0


class People:
    """Everyone who wrote to, or was written to by, an account."""

    def __init__(self) -> None:
        self._pairs: dict[tuple[str, str], _Pair] = {}
        self._bsuids: dict[str, str] = {}

    def wrote(self, account: Account, *, handle: str, bsuid: str = "") -> None:
        """Note that a person wrote, under one id or, on WhatsApp, both."""
        if handle and bsuid:
            self._bsuids[handle] = bsuid
        for one in (handle, bsuid):
            if one:
                self._pair(account, one).wrote_at = time.monotonic()

    def has_written(self, account: Account, handle: str) -> bool:
        """Say whether a person ever wrote to an account."""
        pair = self._pairs.get((account.id, handle))
        return pair is not None and pair.wrote_at is not None

    def bsuid_of(self, phone: str) -> str:
        """Return the business-scoped id that came with this phone, or an empty string."""
        return self._bsuids.get(phone, "")

    def admit(self, account: Account, handle: str, *, is_human: bool = False) -> None:
        """Apply the rules on writing to a person, those that the account has switched on. Raises Refusal."""
        pair_limit = isinstance(account, Number) and account.enforce_pair_limit
        if not (account.enforce_window or pair_limit):
            return
        pair, now = self._pair(account, handle), time.monotonic()
        if account.enforce_window:
            _check_window(account, None if pair.wrote_at is None else now - pair.wrote_at, _HUMAN_WINDOW_S if is_human else _WINDOW_S)
        if pair_limit:
            paid_at = max(pair.paid_at, now) + _PAIR_S
            if paid_at - now > _PAIR_S * _PAIR_BURST:
                raise Refusal(131056, "Too many messages sent from this number to the same person in a short time.")
            pair.paid_at = paid_at

    def _pair(self, account: Account, handle: str) -> _Pair:
        return self._pairs.setdefault((account.id, handle), _Pair())


def _check_window(account: Account, age_s: float | None, window_s: float) -> None:
    if age_s is not None and age_s <= window_s:
        return
    if isinstance(account, Number):
        raise Refusal(131047, "More than 24 hours have passed since the customer last replied to this number.")
    if age_s is None:
        raise Refusal(100, message="(#100) No matching user found", subcode=2018001)
    raise Refusal(10, message="(#10) This message is sent outside of allowed window.", subcode=2018278, http_status=400)
