"""`chinwag bot`: the bots that answer. Persona and texts come from files; versions are compared, published and rolled back."""

from __future__ import annotations

import json
import sys
from difflib import unified_diff
from pathlib import Path
from typing import Annotated, Any

import typer

from bots.admin.bots import editor, forms, versions
from bots.admin.money import money
from bots.errors import NotFound
from chinwag.cli.use_cases import use_cases

app = typer.Typer(no_args_is_help=True, help="Show and change bots: persona, texts, memory, versions.")

_Name = Annotated[str, typer.Argument(help="The bot's name.")]
_Version = Annotated[int, typer.Argument(min=1, max=2**31 - 1, help="The version's number.")]
_Budget = Annotated[str | None, typer.Option(metavar="USD", help="Spending limit in USD, such as 0.50; empty: no limit.")]
_File = Annotated[Path | None, typer.Option(exists=True, dir_okay=False, readable=True)]


@app.command("list")
def list_() -> None:
    """List all bots."""
    with use_cases() as (deps, operator):
        found = editor.list_all(deps, operator)
    for line in found:
        memory = "on" if line.bot.memory_on else "off"
        sys.stdout.write(f"{line.bot.name}  profile {line.bot.profile}  persona version {line.bot.persona_version}  memory {memory}\n")


@app.command()
def show(name: _Name, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show one bot with its persona."""
    with use_cases() as (deps, operator):
        bot = editor.by_name(deps, operator, name)
    if as_json:
        values = {"name": bot.name, "profile": bot.profile, "persona": bot.persona, "persona_version": bot.persona_version}
        values |= {"fallback_text": bot.fallback_text, "apology_text": bot.apology_text, "memory_on": bot.memory_on}
        values |= {"language": bot.language, "first_contact": bot.first_contact, "data_may_leave": bot.data_may_leave}
        values |= {"budget_contact_day": bot.budget_contact_day, "budget_month": bot.budget_month}
        values |= {
            "kinds_off": bot.kinds_off,
            "sensitive_on": bot.sensitive_on,
            "keeps_messages": bot.keeps_messages,
            "time_zone": bot.time_zone,
        }
        sys.stdout.write(json.dumps(values, ensure_ascii=False) + "\n")
        return
    sys.stdout.write(f"{bot.name}: persona version {bot.persona_version}\n\n{bot.persona}\n\nFallback: {bot.fallback_text}\n")
    leaves = "may go to hosted endpoints" if bot.data_may_leave else "stay on your own servers"
    day, month = (money(usd) if usd is not None else "no limit" for usd in (bot.budget_contact_day, bot.budget_month))
    sys.stdout.write(f"Conversations {leaves}. Budget per contact and day: {day}; per month: {month}.\n")


@app.command("set")
def set_(
    name: _Name,
    persona: _File = None,
    fallback: _File = None,
    apology: _File = None,
    profile: Annotated[str | None, typer.Option(help="The model profile that answers.")] = None,
    memory: Annotated[bool | None, typer.Option("--memory/--no-memory", help="Whether the bot remembers contacts.")] = None,
    language: Annotated[str | None, typer.Option(help="Language of the bot's fixed texts: en, es, pt, ...; empty: not set.")] = None,
    first_contact: _File = None,
    data_may_leave: Annotated[
        bool | None, typer.Option("--data-may-leave/--no-data-may-leave", help="Whether conversations may go to hosted endpoints.")
    ] = None,
    budget_contact_day: _Budget = None,
    budget_month: _Budget = None,
    forget_kind: Annotated[
        list[str] | None,
        typer.Option(
            "--no-kind", help="A kind of fact that it does not remember (may be given several times): allergy, likes ...; none: all."
        ),
    ] = None,
    sensitive: Annotated[bool | None, typer.Option("--sensitive/--no-sensitive", help="Whether it remembers what is about health.")] = None,
    keeps_messages: Annotated[
        bool | None, typer.Option("--keeps-messages/--no-keeps-messages", help="Whether messages stay when a memory is forgotten.")
    ] = None,
    time_zone: Annotated[
        str | None, typer.Option(help="Zone of contacts whose number shows none, such as Europe/Madrid; empty: that of the installation.")
    ] = None,
) -> None:
    """Create a bot, or change the given values of one.

    A changed persona becomes a new version and is published at once: chinwag bot set clinic --persona persona.txt
    """
    given: dict[str, Any] = {
        "profile": profile,
        "fallback_text": _text(fallback),
        "apology_text": _text(apology),
        "memory_on": memory,
        "data_may_leave": data_may_leave,
        "sensitive_on": sensitive,
        "keeps_messages": keeps_messages,
    }
    settings = {key: value for key, value in given.items() if value is not None}
    if language is not None:
        settings["language"] = language or None
    if first_contact is not None:
        settings["first_contact"] = _text(first_contact) or None
    try:
        if forget_kind is not None:
            settings["kinds_off"] = forms.kinds_off(kind for kind in forget_kind if kind != "none")
        if time_zone is not None:
            settings["time_zone"] = forms.time_zone(time_zone)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    for key, typed in (("budget_contact_day", budget_contact_day), ("budget_month", budget_month)):
        if typed is not None:
            settings[key] = _budget(typed)
    with use_cases() as (deps, operator):
        bot = editor.put(deps, operator, name, settings, persona=_text(persona))
    sys.stdout.write(f"{bot.name}: persona version {bot.persona_version}\n")


@app.command("versions")
def list_versions(name: _Name) -> None:
    """List the versions of a bot's persona, the newest first."""
    with use_cases() as (deps, operator):
        bot = editor.by_name(deps, operator, name)
        found = versions.list_all(deps, operator, bot.id)
    for one in found:
        state = "published" if one.version == bot.persona_version else "draft" if one.version > bot.persona_version else "older"
        by = f"  by {one.created_by}" if one.created_by else ""
        sys.stdout.write(f"{one.version}  {state}  {one.created_at:%Y-%m-%d %H:%M}{by}\n")


@app.command()
def diff(
    name: _Name,
    old: Annotated[
        int | None, typer.Argument(min=1, max=2**31 - 1, help="The version to compare from; default: the published one.")
    ] = None,
    new: Annotated[int | None, typer.Argument(min=1, max=2**31 - 1, help="The version to compare with; default: the newest.")] = None,
) -> None:
    """Show what changed in the persona between two versions."""
    with use_cases() as (deps, operator):
        found = versions.compare(deps, operator, editor.by_name(deps, operator, name).id, old=old, new=new)
    old_name, new_name = f"version {found.old.version}", f"version {found.new.version}"
    lines = unified_diff(found.old.text.splitlines(), found.new.text.splitlines(), old_name, new_name, lineterm="")
    sys.stdout.writelines(f"{line}\n" for line in lines)


@app.command()
def publish(
    name: _Name,
    version: Annotated[int | None, typer.Argument(min=1, max=2**31 - 1, help="The version's number; default: the newest.")] = None,
) -> None:
    """Publish a version: it answers from now on."""
    with use_cases() as (deps, operator):
        bot = editor.by_name(deps, operator, name).id
        found = versions.publish(deps, operator, bot, version or versions.newest(deps, operator, bot))
    sys.stdout.write(f"{name}: version {found.persona_version} answers from now on\n")


@app.command()
def rollback(name: _Name, version: _Version) -> None:
    """Publish an older version again."""
    with use_cases() as (deps, operator):
        versions.roll_back(deps, operator, editor.by_name(deps, operator, name).id, version)
    sys.stdout.write(f"{name}: version {version} answers again\n")


@app.command()
def remove(name: _Name) -> None:
    """Remove a bot that no account and no batch uses, with its versions and trials."""
    with use_cases() as (deps, operator):
        editor.remove(deps, operator, editor.by_name(deps, operator, name).id)
    sys.stdout.write(f"{name} is removed\n")


def _budget(typed: str) -> float | None:
    try:
        return forms.budget(typed)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _text(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        return file.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError as error:
        raise NotFound(f"{file} is not UTF-8 text.") from error
