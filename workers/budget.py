"""Budgets: what a bot may spend on one contact a day and in a month, asked before the model is. A bot without budgets costs nothing here.

How far a budget may be overshot: a contact's by the one answer that reaches it; a bot's by what all workers spend within ten seconds,
for so long a process goes by what it read, and by the turns that are in work at that moment.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING
from uuid import UUID

import structlog

from bots.domain import Bot
from bots.extract.commands import budget_day_text, budget_month_text, language_of
from bots.storage import usage
from workers import metrics

if TYPE_CHECKING:
    from bots.storage.claims import Claim
    from workers.deps import Deps, Seat

log = structlog.get_logger()

#: How long a process goes by what it read of a bot's month.
_FRESH_S = 10.0
#: How long the threads that do not read go on with it meanwhile.
_STALE_S = 30.0
_MOST_KEPT = 10_000


class Months:
    """What bots have spent this month, about ten seconds old: one of a process's threads reads it again, the others go on."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[UUID, tuple[float, float]] = {}

    def spent(self, bot: UUID, read: Callable[[], float]) -> float:
        """What the bot has spent in USD, read anew at most every ten seconds."""
        known = self._known.get(bot)
        age_s = self._clock() - known[0] if known is not None else float("inf")
        if known is not None and age_s < _FRESH_S:
            return known[1]
        if not self._lock.acquire(blocking=known is None or age_s > _STALE_S):
            return known[1] if known is not None else 0.0
        try:
            known = self._known.get(bot)
            if known is not None and self._clock() - known[0] < _FRESH_S:
                return known[1]
            found = read()
            if len(self._known) >= _MOST_KEPT:
                self._known.clear()
            self._known[bot] = (self._clock(), found)
            return found
        finally:
            self._lock.release()


def refusal(deps: Deps, claim: Claim, seat: Seat) -> str | None:
    """Return what to say in place of an answer when a budget is used up, in the contact's language. Raises StorageUnavailable."""
    bot = seat.bot
    if bot.budget_month is not None and _month(deps, bot) >= bot.budget_month:
        return _refused(claim, bot, "month", budget_month_text(_language(claim, bot)))
    if bot.budget_contact_day is not None and usage.spent_today(deps.worker, claim.contact) >= bot.budget_contact_day:
        return _refused(claim, bot, "contact_day", budget_day_text(_language(claim, bot)))
    return None


def _month(deps: Deps, bot: Bot) -> float:
    return deps.months.spent(bot.id, lambda: usage.spent_this_month(deps.crossing, tenant=bot.tenant_id, bot=bot.id))


def _language(claim: Claim, bot: Bot) -> str:
    return language_of(claim.memories, default=bot.language or "en")


def _refused(claim: Claim, bot: Bot, which: str, words: str) -> str:
    metrics.BUDGET_REFUSED.labels(which).inc()
    log.info("budget_used_up", turn=str(claim.turn), bot=str(bot.id), budget=which)
    return words
