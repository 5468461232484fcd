"""`chinwag bot`: who answers. Persona and fallback text come from files; versions are compared, published and rolled back."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from difflib import unified_diff
from pathlib import Path
from typing import Annotated

import typer

from bots.admin.bots import editor
from bots.admin.money import money
from bots.domain import Bot
from bots.errors import Conflict, NotFound
from bots.storage import audit, personas
from bots.storage.database import open_engine
from chinwag.cli.database import Desk, desk, ground

app = typer.Typer(no_args_is_help=True, help="Show and change bots: persona, texts, memory, versions.")

_ACTOR = "cli"
_Name = Annotated[str, typer.Argument(help="The bot's name.")]
_Version = Annotated[int, typer.Argument(min=1, max=2**31 - 1, help="The version's number.")]
_Budget = Annotated[str | None, typer.Option(metavar="USD", help="At most so much in USD, such as 0.50; empty: no limit.")]
_File = Annotated[Path | None, typer.Option(exists=True, dir_okay=False, readable=True)]


@app.command("list")
def list_() -> None:
    """List all bots."""
    with desk() as at:
        for bot in personas.list_all(at.connection, tenant=at.tenant):
            memory = "on" if bot.memory_on else "off"
            sys.stdout.write(f"{bot.name}  profile {bot.profile}  persona version {bot.persona_version}  memory {memory}\n")


@app.command()
def show(name: _Name, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show one bot with its persona."""
    with desk() as at:
        bot = wanted(at, name)
    if as_json:
        values = {"name": bot.name, "profile": bot.profile, "persona": bot.persona, "persona_version": bot.persona_version}
        values |= {"fallback_text": bot.fallback_text, "apology_text": bot.apology_text, "memory_on": bot.memory_on}
        values |= {"language": bot.language, "first_contact": bot.first_contact, "data_may_leave": bot.data_may_leave}
        values |= {"budget_contact_day": bot.budget_contact_day, "budget_month": bot.budget_month}
        sys.stdout.write(json.dumps(values, ensure_ascii=False) + "\n")
        return
    sys.stdout.write(f"{bot.name}: persona version {bot.persona_version}\n\n{bot.persona}\n\nFallback: {bot.fallback_text}\n")
    leaves = "may go to hosted endpoints" if bot.data_may_leave else "stay in the house"
    day, month = (money(usd) if usd is not None else "no limit" for usd in (bot.budget_contact_day, bot.budget_month))
    sys.stdout.write(f"Conversations {leaves}. Budget: of a contact a day {day}, of a month {month}.\n")


@app.command("set")
def set_(
    name: _Name,
    persona: _File = None,
    fallback: _File = None,
    apology: _File = None,
    profile: Annotated[str | None, typer.Option(help="The model profile that answers.")] = None,
    memory: Annotated[bool | None, typer.Option("--memory/--no-memory", help="Whether the bot remembers contacts.")] = None,
    language: Annotated[str | None, typer.Option(help="Code of the bot's own sentences: en, es, pt, ...; empty: not set.")] = None,
    first_contact: _File = None,
    data_may_leave: Annotated[
        bool | None, typer.Option("--data-may-leave/--no-data-may-leave", help="Whether conversations may go to hosted endpoints.")
    ] = None,
    budget_contact_day: _Budget = None,
    budget_month: _Budget = None,
) -> None:
    """Make a bot, or change what is given of it.

    A changed persona becomes a new version and is published at once: chinwag bot set clinic --persona persona.txt
    """
    limits = {"budget_contact_day": _budget(budget_contact_day), "budget_month": _budget(budget_month)}
    given = {"data_may_leave": data_may_leave, "budget_contact_day": budget_contact_day, "budget_month": budget_month}
    with desk() as at:
        before = personas.get(at.connection, tenant=at.tenant, name=name)
        bot = personas.put(
            at.connection,
            tenant=at.tenant,
            name=name,
            persona=_text(persona),
            profile=profile,
            fallback_text=_text(fallback),
            apology_text=_text(apology),
            memory_on=memory,
            by=_ACTOR,
        )
        if language is not None or first_contact is not None:
            line = bot.first_contact if first_contact is None else _text(first_contact)
            bot = replace(bot, language=bot.language if language is None else language or None, first_contact=line or None)
        if data_may_leave is not None:
            bot = replace(bot, data_may_leave=data_may_leave)
        bot = replace(bot, **{key: usd for key, usd in limits.items() if given[key] is not None})
        personas.save(at.connection, bot)
        action = "bot.add" if before is None else "bot.change"
        changed = [key for key, value in given.items() if value is not None]
        detail: dict[str, object] = {"version": bot.persona_version}
        if changed:
            detail["changed"] = changed
        audit.record(at.connection, tenant=at.tenant, actor=_ACTOR, action=action, subject=f"bot:{name}", detail=detail)
    sys.stdout.write(f"{bot.name}: persona version {bot.persona_version}\n")


@app.command()
def versions(name: _Name) -> None:
    """List the versions of a bot's persona, the newest first."""
    with desk() as at:
        bot = wanted(at, name)
        found = personas.versions(at.connection, tenant=at.tenant, bot=bot.id)
    for one in found:
        state = "published" if one.version == bot.persona_version else "draft" if one.version > bot.persona_version else "older"
        by = f"  by {one.created_by}" if one.created_by else ""
        sys.stdout.write(f"{one.version}  {state}  {one.created_at:%Y-%m-%d %H:%M}{by}\n")


@app.command()
def diff(
    name: _Name,
    old: Annotated[int | None, typer.Argument(min=1, max=2**31 - 1, help="From this version; the published one.")] = None,
    new: Annotated[int | None, typer.Argument(min=1, max=2**31 - 1, help="To this version; the newest.")] = None,
) -> None:
    """Show what changed in the persona between two versions."""
    with desk() as at:
        bot = wanted(at, name)
        newest = personas.versions(at.connection, tenant=at.tenant, bot=bot.id, limit=1)[0].version
        pair = (old or bot.persona_version, new or newest)
        before, after = (personas.version(at.connection, tenant=at.tenant, bot=bot.id, version=number) for number in pair)
    one, other = (f"version {number}" for number in pair)
    lines = unified_diff(before.text.splitlines(), after.text.splitlines(), one, other, lineterm="")
    sys.stdout.writelines(f"{line}\n" for line in lines)


@app.command()
def publish(name: _Name, version: Annotated[int | None, typer.Argument(min=1, max=2**31 - 1, help="The newest.")] = None) -> None:
    """Let a version answer from now on."""
    with desk() as at:
        bot = wanted(at, name)
        number = version or personas.versions(at.connection, tenant=at.tenant, bot=bot.id, limit=1)[0].version
        editor.publish(at.connection, tenant=at.tenant, bot=bot.id, version=number, actor=_ACTOR)
    sys.stdout.write(f"{name}: version {number} answers from now on\n")


@app.command()
def rollback(name: _Name, version: _Version) -> None:
    """Let an older version answer again."""
    with desk() as at:
        bot = wanted(at, name)
        if version >= bot.persona_version:
            raise Conflict(f"Version {bot.persona_version} is published; `chinwag bot publish {name} {version}` publishes another one.")
        editor.publish(at.connection, tenant=at.tenant, bot=bot.id, version=version, actor=_ACTOR)
    sys.stdout.write(f"{name}: version {version} answers again\n")


@app.command()
def remove(name: _Name) -> None:
    """Remove a bot that no account and no batch uses, with its versions and trials."""
    with desk() as at:
        bot = wanted(at, name)
    with ground() as at:
        crossing = open_engine(at.settings.crossing_database_url, pool=1, name="cli")
        try:
            editor.remove(at.engine, crossing, tenant=at.tenant, bot=bot.id, actor=_ACTOR)
        finally:
            crossing.dispose()
    sys.stdout.write(f"{name} is removed\n")


def wanted(at: Desk, name: str) -> Bot:
    """The bot of that name. Raises NotFound."""
    bot = personas.get(at.connection, tenant=at.tenant, name=name)
    if bot is None:
        raise NotFound(f"There is no bot named {name}; `chinwag bot list` shows all, `chinwag bot set {name}` makes it.")
    return bot


def _budget(typed: str | None) -> float | None:
    if typed is None:
        return None
    try:
        return editor.budget(typed)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _text(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        return file.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError as error:
        raise NotFound(f"{file} is not UTF-8 text.") from error
