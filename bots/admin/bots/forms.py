"""What may be entered for a bot: the same limits for pages, API and commands, each with a message for whoever typed it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from zoneinfo import available_timezones

from bots.domain import Bot
from bots.kinds import kinds

MOST_NAME, MOST_PERSONA, MOST_TEXT = 80, 20_000, 1000
NAME = r"^[^\x00-\x1f\x7f]+$"
PROFILE = r"^[a-z0-9][a-z0-9._-]{0,59}$"
#: The shape of a BCP 47 code.
LANGUAGE = r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,4}$"
#: The largest budget in USD.
MOST_BUDGET = 1_000_000.0
#: In a form that shows what may be remembered; a tick that is not set is not sent.
_SHOWS_MEMORY = "shows_memory"
_BUDGETS = ("budget_contact_day", "budget_month")
_MEMORY = ("kinds_off", "sensitive_on", "keeps_messages", "time_zone")
#: All fields of a bot but its persona.
SETTINGS = (
    "name",
    "profile",
    "fallback_text",
    "apology_text",
    "memory_on",
    "language",
    "first_contact",
    "data_may_leave",
    *_MEMORY,
    *_BUDGETS,
)


def cleaned(text: str) -> str:
    """Return a text field as it is stored: browsers send other line breaks, and Postgres takes no NUL."""
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "").strip()


def read(form: Mapping[str, str], bot: Bot) -> tuple[Bot, dict[str, str]]:
    """Return the bot as the editor's form describes it, and what is wrong with the form, by field."""
    values = {key: cleaned(form.get(key, "")) for key in ("persona", *SETTINGS)}
    errors: dict[str, str] = {}
    if not values["name"]:
        errors["name"] = "A bot needs a name."
    elif len(values["name"]) > MOST_NAME or not re.match(NAME, values["name"]):
        errors["name"] = f"Use at most {MOST_NAME} characters on one line."
    if not re.match(PROFILE, values["profile"]):
        errors["profile"] = "Use lower-case letters, digits, dots, underscores and dashes, for example default."
    if values["language"] and not re.match(LANGUAGE, values["language"]):
        errors["language"] = "Enter a language code such as en, es or pt-BR."
    if not values["persona"]:
        errors["persona"] = "Describe who the bot is and what it should do."
    elif len(values["persona"]) > MOST_PERSONA:
        errors["persona"] = f"At most {MOST_PERSONA:,} characters; this is {len(values['persona']):,}."
    if not values["fallback_text"]:
        errors["fallback_text"] = "Enter a text for when there is no usable answer."
    for key in ("fallback_text", "first_contact", "apology_text"):
        if len(values[key]) > MOST_TEXT:
            errors[key] = f"At most {MOST_TEXT:,} characters; this is {len(values[key]):,}."
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
    return _remembering(form, wanted, errors) if _SHOWS_MEMORY in form else wanted, errors


def _remembering(form: Mapping[str, str], bot: Bot, errors: dict[str, str]) -> Bot:
    """The bot with what its form says of memories and time; what is wrong goes into the errors."""
    try:
        zone = time_zone(cleaned(form.get("time_zone", "")))
    except ValueError as error:
        zone, errors["time_zone"] = bot.time_zone, str(error)
    return replace(
        bot,
        kinds_off=tuple(name for name in kinds() if not form.get(f"kind_{name}")),
        sensitive_on=bool(form.get("sensitive_on")),
        keeps_messages=bool(form.get("keeps_messages")),
        time_zone=zone,
    )


def time_zone(typed: str) -> str | None:
    """Read the name of a time zone; None when nothing was typed. Raises ValueError with a message that says what to type."""
    name = typed.strip()
    if not name:
        return None
    if name not in available_timezones():
        raise ValueError("Enter a time zone such as Europe/Madrid or America/Sao_Paulo. Leave it empty for that of the installation.")
    return name


def kinds_off(named: Iterable[str]) -> tuple[str, ...]:
    """Read which kinds of facts are not remembered, in their usual order. Raises ValueError for one that does not exist."""
    wanted = set(named)
    unknown = wanted - kinds().keys()
    if unknown:
        raise ValueError(f"There is no kind of fact named {min(unknown)}. There are {', '.join(kinds())}.")
    return tuple(name for name in kinds() if name in wanted)


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
    """Read a budget in USD; None when nothing was typed. Raises ValueError with a message that says what to type."""
    plain = typed.strip().removeprefix("$").strip()
    if not plain:
        return None
    if not re.fullmatch(r"[0-9]{1,7}(\.[0-9]{1,9})?", plain) or not 0 < float(plain) <= MOST_BUDGET:
        raise ValueError(
            f"Enter an amount in US dollars above 0, such as 0.50 or 20, and at most {MOST_BUDGET:,.0f}. Leave it empty for no limit."
        )
    return float(plain)
