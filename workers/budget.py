"""Budgets: what a bot may spend on one contact a day and in a month, asked before the model is. A bot without budgets costs nothing here.

How far a budget may be overshot: a contact's by the one answer that reaches it; a bot's by what all workers spend within ten seconds,
for so long a process goes by what it read, and by the turns that are in work at that moment.
"""

from __future__ import annotations

from typing import Literal
from uuid import UUID

import structlog

from bots.domain import Bot
from bots.extract.commands import budget_day_text, budget_month_text, language_of
from bots.storage import usage
from bots.storage.claims import Claim
from workers import metrics
from workers.deps import Deps, Seat

log = structlog.get_logger()


def refusal(deps: Deps, claim: Claim, seat: Seat) -> str | None:
    """Return what to say in place of an answer when a budget is used up, in the contact's language. Raises StorageUnavailable."""
    which = used_up(deps, seat.bot, contact=claim.contact)
    if which is None:
        return None
    metrics.BUDGET_REFUSED.labels(which).inc()
    log.info("budget_used_up", turn=str(claim.turn), bot=str(seat.bot.id), budget=which)
    language = language_of(claim.memories, default=seat.bot.language or "en")
    return budget_month_text(language) if which == "month" else budget_day_text(language)


def used_up(deps: Deps, bot: Bot, *, contact: UUID) -> Literal["month", "contact_day"] | None:
    """Return which budget of a bot is used up for this contact. Raises StorageUnavailable."""
    if bot.budget_month is not None and _month(deps, bot) >= bot.budget_month:
        return "month"
    if bot.budget_contact_day is not None and usage.contact_day(deps.worker, contact, bot=bot.id) >= bot.budget_contact_day:
        return "contact_day"
    return None


def _month(deps: Deps, bot: Bot) -> float:
    return deps.months.get(bot.id, lambda: usage.bot_month(deps.crossing, tenant=bot.tenant_id, bot=bot.id))
