"""Bots as operators edit them: settings take effect at once, a changed persona becomes a draft until it is published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from bots.admin.acting import Operator
from bots.admin.audit import record
from bots.admin.bots import versions
from bots.admin.bots.forms import SETTINGS
from bots.admin.deps import Deps
from bots.domain import Bot
from bots.errors import NotFound
from bots.storage import personas, usage
from bots.storage.database import hot, unit
from bots.storage.personas import BotLine, Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """The result of a save."""

    bot: Bot
    #: The newest version afterwards; above the published one it is a draft.
    newest: int
    #: Whether this save made it.
    is_new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """A bot with everything that its page shows."""

    bot: Bot
    versions: list[Version]
    #: The accounts that it answers on, as `whatsapp/demo`.
    accounts: list[str]
    #: The profiles that running workers serve.
    profiles: list[str]
    #: Endpoints of its profile that have no price: budgets don't count what they answer.
    unpriced: list[str]
    #: What it has cost this month, in USD.
    spent: float


def list_all(deps: Deps, operator: Operator) -> list[BotLine]:
    """All bots, by name."""
    with hot(deps.web) as connection:
        return personas.overview(connection, tenant=operator.tenant_id)


def get(deps: Deps, operator: Operator, bot: UUID) -> Bot:
    """The bot with its published persona. Raises NotFound."""
    with hot(deps.web) as connection:
        return versions.published(connection, operator, bot)


def by_name(deps: Deps, operator: Operator, name: str) -> Bot:
    """The bot of that name. Raises NotFound."""
    with hot(deps.web) as connection:
        found = personas.get(connection, tenant=operator.tenant_id, name=name)
    if found is None:
        raise NotFound(f"There is no bot named {name}; `chinwag bot list` shows all, `chinwag bot set {name}` creates it.")
    return found


def details(deps: Deps, operator: Operator, bot: UUID) -> Details:
    """The bot with its versions, accounts and costs. Raises NotFound."""
    tenant = operator.tenant_id
    with unit(deps.web) as connection:
        found = versions.published(connection, operator, bot)
        history = personas.versions(connection, tenant=tenant, bot=bot)
        accounts = personas.used_by(connection, tenant=tenant, bot=bot)
        served = personas.profiles(connection)
        unpriced = usage.unpriced(connection, tenant=tenant, profile=found.profile)
    spent = usage.bot_month(deps.crossing, tenant=tenant, bot=bot)
    return Details(bot=found, versions=history, accounts=accounts, profiles=served, unpriced=unpriced, spent=spent)


def profiles(deps: Deps, _operator: Operator) -> list[str]:
    """The model profiles that running workers serve."""
    with hot(deps.web) as connection:
        return personas.profiles(connection)


def create(deps: Deps, operator: Operator, bot: Bot) -> Bot:
    """Create a bot; its persona is version 1 and published. Raises NameTaken."""
    with unit(deps.web) as connection:
        made = personas.make(connection, bot, by=operator.name)
        record(connection, operator, "bot.add", f"bot:{made.name}")
        return made


def put(deps: Deps, operator: Operator, name: str, settings: Mapping[str, Any], *, persona: str | None = None) -> Bot:
    """Create a bot, or change the given settings of it; a changed persona is published at once."""
    tenant = operator.tenant_id
    with unit(deps.web) as connection:
        before = personas.get(connection, tenant=tenant, name=name)
        bot = personas.put(connection, tenant=tenant, name=name, persona=persona, by=operator.name)
        after = replace(bot, **settings)
        personas.save(connection, after)
        detail: dict[str, object] = {"version": bot.persona_version}
        if changed := _changed(bot, after):
            detail["changed"] = changed
        record(connection, operator, "bot.add" if before is None else "bot.change", f"bot:{name}", detail)
        return after


def change(
    deps: Deps,
    operator: Operator,
    bot: UUID,
    settings: Mapping[str, Any],
    *,
    persona: str | None = None,
    base: int | None = None,
    publish: bool = False,
) -> Saved:
    """Store the given settings, which take effect at once, and store a persona as a draft, or publish it too.

    base is the version that was the newest when the persona was begun. Raises Conflict when there is a newer one by now, NameTaken, NotFound.
    """
    tenant = operator.tenant_id
    with unit(deps.web) as connection:
        before = versions.published(connection, operator, bot)
        known = newest = personas.versions(connection, tenant=tenant, bot=bot, limit=1)[0].version
        if persona is not None:
            newest = personas.draft(connection, tenant=tenant, bot=bot, persona=persona, by=operator.name, base=base)
        after = replace(before, **settings)
        if newest > known:
            record(connection, operator, "bot.draft", f"bot:{after.name}", {"version": newest})
        _write(connection, operator, before, after)
        if publish:
            versions.publish_in(connection, operator, bot, newest)
        return Saved(bot=versions.published(connection, operator, bot), newest=newest, is_new=newest > known)


def remove(deps: Deps, operator: Operator, bot: UUID) -> str:
    """Remove a bot that no account uses, with its trials; returns its name. Raises Conflict, NotFound."""
    tenant = operator.tenant_id
    with unit(deps.web) as connection:
        found = versions.published(connection, operator, bot)
        personas.check_unused(connection, tenant=tenant, bot=bot)
    # The web's role cannot reach contacts. If an account starts to use the bot meanwhile, only the bot's trials are gone.
    with unit(deps.crossing) as connection:
        personas.erase_trials(connection, tenant=tenant, bot=bot)
    with unit(deps.web) as connection:
        personas.remove(connection, tenant=tenant, bot=bot)
        record(connection, operator, "bot.remove", f"bot:{found.name}")
    return found.name


def _write(connection: Connection, operator: Operator, before: Bot, after: Bot) -> None:
    changed = _changed(before, after)
    if not changed:
        return
    personas.save(connection, after)
    detail: dict[str, object] = {"changed": changed}
    if "name" in changed:
        detail["name_before"] = before.name
    record(connection, operator, "bot.change", f"bot:{after.name}", detail)


def _changed(before: Bot, after: Bot) -> list[str]:
    return [key for key in SETTINGS if getattr(before, key) != getattr(after, key)]
