"""The bot editor behind page and API: what may be written into a bot, and each write with its audit row. Synchronous."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from uuid import UUID

from sqlalchemy import Connection, Engine

from bots.domain import Bot
from bots.errors import NotFound
from bots.storage import audit, personas
from bots.storage.database import unit

MOST_NAME, MOST_PERSONA, MOST_WORDS = 80, 20_000, 1000
NAME = r"^[^\x00-\x1f\x7f]+$"
PROFILE = r"^[a-z0-9][a-z0-9._-]{0,59}$"
#: The shape of a BCP 47 code.
LANGUAGE = r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,4}$"
#: The largest budget in USD.
MOST_BUDGET = 1_000_000.0
_BUDGETS = ("budget_contact_day", "budget_month")
_SETTINGS = ("name", "profile", "fallback_text", "apology_text", "memory_on", "language", "first_contact", "data_may_leave", *_BUDGETS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """What a save came to."""

    bot: Bot
    #: The newest version afterwards; above the bot's own it is a draft.
    newest: int
    #: Whether this save made it.
    is_new: bool


def words(text: str) -> str:
    """Normalise what a browser sends of a text field."""
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "").strip()


def read(form: Mapping[str, str], bot: Bot) -> tuple[Bot, dict[str, str]]:
    """Read the editor's form onto a bot; with what is wrong, by field."""
    values = {key: words(form.get(key, "")) for key in ("persona", *_SETTINGS)}
    errors: dict[str, str] = {}
    if not values["name"]:
        errors["name"] = "A bot needs a name."
    elif len(values["name"]) > MOST_NAME or not re.match(NAME, values["name"]):
        errors["name"] = f"At most {MOST_NAME} characters on one line."
    if not re.match(PROFILE, values["profile"]):
        errors["profile"] = "Small letters, digits, dots and dashes, as in `default`."
    if values["language"] and not re.match(LANGUAGE, values["language"]):
        errors["language"] = "A language code such as en, es or pt-BR."
    if not values["persona"]:
        errors["persona"] = "Say who the bot is and what it is to do."
    elif len(values["persona"]) > MOST_PERSONA:
        errors["persona"] = f"At most {MOST_PERSONA:,} characters; this is {len(values['persona']):,}."
    if not values["fallback_text"]:
        errors["fallback_text"] = "Say something for when no good answer comes."
    for key in ("fallback_text", "first_contact", "apology_text"):
        if len(values[key]) > MOST_WORDS:
            errors[key] = f"At most {MOST_WORDS:,} characters; this is {len(values[key]):,}."
    budgets, wrong = _budgets(values, bot)
    errors |= wrong
    wanted = replace(
        bot,
        name=values["name"],
        profile=values["profile"],
        persona=values["persona"],
        fallback_text=values["fallback_text"],
        apology_text=values["apology_text"] or None,
        language=values["language"] or None,
        first_contact=values["first_contact"] or None,
        memory_on=bool(values["memory_on"]),
        data_may_leave=bool(values["data_may_leave"]),
        budget_contact_day=budgets["budget_contact_day"],
        budget_month=budgets["budget_month"],
    )
    return wanted, errors


def _budgets(values: Mapping[str, str], bot: Bot) -> tuple[dict[str, float | None], dict[str, str]]:
    """Read both budgets; one that cannot be read stays as it is."""
    found: dict[str, float | None] = {}
    errors: dict[str, str] = {}
    for key in _BUDGETS:
        try:
            found[key] = budget(values[key])
        except ValueError as error:
            found[key] = getattr(bot, key)
            errors[key] = str(error)
    return found, errors


def budget(typed: str) -> float | None:
    """Read a budget in USD; None for nothing typed. Raises ValueError with what to type."""
    plain = typed.strip().removeprefix("$").strip()
    if not plain:
        return None
    if not re.fullmatch(r"[0-9]{1,7}(\.[0-9]{1,9})?", plain) or not 0 < float(plain) <= MOST_BUDGET:
        raise ValueError(f"An amount in US dollars above 0, such as 0.50 or 20, at most {MOST_BUDGET:,.0f}; empty: no limit.")
    return float(plain)


def wanted(connection: Connection, *, tenant: UUID, bot: UUID) -> Bot:
    """The bot with its published persona. Raises NotFound."""
    found = personas.by_id(connection, tenant=tenant, bot=bot)
    if found is None:
        raise NotFound("There is no such bot.")
    return found


def make(connection: Connection, bot: Bot, *, actor: str) -> Bot:
    """Make a bot. Raises Conflict when the name is taken."""
    made = personas.make(connection, bot, by=actor)
    audit.record(connection, tenant=bot.tenant_id, actor=actor, action="bot.add", subject=f"bot:{made.name}")
    return made


def save(connection: Connection, bot: Bot, *, persona: str | None, actor: str, base: int | None = None) -> Saved:
    """Write a bot's settings, which hold at once, and keep a wording as a draft. Raises Conflict (see personas.draft), NotFound."""
    tenant = bot.tenant_id
    before = wanted(connection, tenant=tenant, bot=bot.id)
    known = newest = personas.versions(connection, tenant=tenant, bot=bot.id, limit=1)[0].version
    if persona is not None:
        newest = personas.draft(connection, tenant=tenant, bot=bot.id, persona=persona, by=actor, base=base)
    if newest > known:
        audit.record(connection, tenant=tenant, actor=actor, action="bot.draft", subject=f"bot:{bot.name}", detail={"version": newest})
    changed = [key for key in _SETTINGS if getattr(before, key) != getattr(bot, key)]
    if changed:
        personas.save(connection, bot)
        detail: dict[str, object] = {"changed": changed}
        if "name" in changed:
            detail["name_before"] = before.name
        audit.record(connection, tenant=tenant, actor=actor, action="bot.change", subject=f"bot:{bot.name}", detail=detail)
    return Saved(bot=wanted(connection, tenant=tenant, bot=bot.id), newest=newest, is_new=newest > known)


def publish(connection: Connection, *, tenant: UUID, bot: UUID, version: int, actor: str) -> Bot:
    """Let a version answer from now on. Raises NotFound."""
    before = personas.publish(connection, tenant=tenant, bot=bot, version=version)
    found = wanted(connection, tenant=tenant, bot=bot)
    if version != before:
        action = "bot.publish" if version > before else "bot.rollback"
        detail = {"version": version, "before": before}
        audit.record(connection, tenant=tenant, actor=actor, action=action, subject=f"bot:{found.name}", detail=detail)
    return found


def remove(web: Engine, crossing: Engine, *, tenant: UUID, bot: UUID, actor: str) -> str:
    """Remove a bot that no account uses, with what was said in its trials; returns its name. Raises Conflict, NotFound."""
    with unit(web) as connection:
        found = wanted(connection, tenant=tenant, bot=bot)
        personas.check_unused(connection, tenant=tenant, bot=bot)
    # Contacts are beyond the web's role. Should the bot find a user meanwhile, only what was said in trials is gone.
    with unit(crossing) as connection:
        personas.erase_trials(connection, tenant=tenant, bot=bot)
    with unit(web) as connection:
        personas.remove(connection, tenant=tenant, bot=bot)
        audit.record(connection, tenant=tenant, actor=actor, action="bot.remove", subject=f"bot:{found.name}")
    return found.name
