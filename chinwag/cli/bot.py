"""`chinwag bot`: who answers. Persona and fallback text come from files."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from bots.domain import Bot
from bots.errors import NotFound
from bots.storage import personas
from chinwag.cli.database import Desk, desk

app = typer.Typer(no_args_is_help=True, help="Show and change bots: persona, texts, memory.")

_Name = Annotated[str, typer.Argument(help="The bot's name.")]
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
        sys.stdout.write(json.dumps(values, ensure_ascii=False) + "\n")
        return
    sys.stdout.write(f"{bot.name}: persona version {bot.persona_version}\n\n{bot.persona}\n\nFallback: {bot.fallback_text}\n")


@app.command("set")
def set_(
    name: _Name,
    persona: _File = None,
    fallback: _File = None,
    apology: _File = None,
    profile: Annotated[str | None, typer.Option(help="The model profile that answers.")] = None,
    memory: Annotated[bool | None, typer.Option("--memory/--no-memory", help="Whether the bot remembers contacts.")] = None,
) -> None:
    """Make a bot, or change what is given of it.

    A changed persona becomes a new version: chinwag bot set clinic --persona persona.txt
    """
    with desk() as at:
        bot = personas.put(
            at.connection,
            tenant=at.tenant,
            name=name,
            persona=_text(persona),
            profile=profile,
            fallback_text=_text(fallback),
            apology_text=_text(apology),
            memory_on=memory,
        )
    sys.stdout.write(f"{bot.name}: persona version {bot.persona_version}\n")


def wanted(at: Desk, name: str) -> Bot:
    """The bot of that name. Raises NotFound."""
    bot = personas.get(at.connection, tenant=at.tenant, name=name)
    if bot is None:
        raise NotFound(f"There is no bot named {name}; `chinwag bot list` shows all, `chinwag bot set {name}` makes it.")
    return bot


def _text(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        return file.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError as error:
        raise NotFound(f"{file} is not UTF-8 text.") from error
