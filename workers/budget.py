"""Budgets: what a bot may spend on one contact a day, and in a month; checked before the model is called. A bot without budgets costs nothing here.

How far a budget may be overshot: a contact's by the one answer that reaches it; a bot's by what all workers spend within the ten seconds that a
process trusts what it read, and by the turns that are in work at that moment.
"""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from bots.domain import Bot
from bots.storage import usage
from workers.deps import Deps


def used_up(deps: Deps, bot: Bot, *, contact: UUID) -> Literal["month", "contact_day"] | None:
    """Return which of the bot's budgets is used up for this contact. Raises StorageUnavailable."""
    if bot.budget_month is not None and _month(deps, bot) >= bot.budget_month:
        return "month"
    if bot.budget_contact_day is not None and usage.contact_day(deps.worker, contact, bot=bot.id) >= bot.budget_contact_day:
        return "contact_day"
    return None


def _month(deps: Deps, bot: Bot) -> float:
    return deps.month_spending.get(bot.id, lambda: usage.bot_month(deps.crossing, tenant=bot.tenant_id, bot=bot.id))
