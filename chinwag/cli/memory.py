"""`chinwag memory`: what is remembered of a person: show, search, add, correct, end, erase, export."""

from __future__ import annotations

import json
import sys
from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from bots.admin import memories
from bots.errors import NotFound
from bots.storage.memories import Stored
from chinwag.cli.private_file import open_private
from chinwag.cli.use_cases import use_cases

_HELP = """What is remembered of a person: show, search, add, correct, end, erase, export.

PERSON is a name, a number in any spelling, or an id of a contact or a conversation. A memory is named by the first characters of its id."""
app = typer.Typer(no_args_is_help=True, help=_HELP)

_Person = Annotated[str, typer.Argument(metavar="PERSON", help="A name, a number, or an id of a contact or a conversation.")]
_Memory = Annotated[str, typer.Argument(metavar="MEMORY", help="The first characters of a memory's id, from `chinwag memory show`.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def show(
    person: _Person, ended: Annotated[bool, typer.Option("--all", help="Also what is no longer true.")] = False, as_json: _Json = False
) -> None:
    """Show what is remembered, with the words it came from."""
    with use_cases() as (deps, operator):
        known = memories.read(deps, operator, memories.find_person(deps, operator, person), limit=memories.MOST_ASKED)
    rows = [one for one in known.memories if ended or one.valid_to is None]
    if as_json:
        sys.stdout.write(json.dumps(msgspec.to_builtins(rows), ensure_ascii=False) + "\n")
        return
    sys.stdout.write(f"{_plain(known.person.called)}  {known.person.id}\n")
    if known.switches.memory_off_at:
        sys.stdout.write(f"Nothing new is remembered since {_day(known.switches.memory_off_at)}.\n")
    if known.switches.sensitive_off_at:
        sys.stdout.write(f"Nothing about health is remembered since {_day(known.switches.sensitive_off_at)}.\n")
    if not rows:
        sys.stdout.write("Nothing is remembered.\n")
    for one in rows:
        sys.stdout.write(_line(one))


@app.command()
def search(
    person: _Person,
    words: Annotated[str, typer.Argument(help="Words, or a number in any spelling.")],
    limit: Annotated[int, typer.Option(min=1, max=200)] = 20,
    as_json: _Json = False,
) -> None:
    """Search everything that was said by and to a person."""
    with use_cases() as (deps, operator):
        found = memories.search(deps, operator, memories.find_person(deps, operator, person), words, limit=limit)
    if as_json:
        sys.stdout.write(json.dumps(msgspec.to_builtins(found), ensure_ascii=False) + "\n")
        return
    for line in found:
        sys.stdout.write(
            f"{line.at:%Y-%m-%d %H:%M}  {'contact' if line.side == 'in' else 'bot'} ({', '.join(line.signals)}): {_plain(line.text)}\n"
        )
    if not found:
        sys.stdout.write("Nothing was found.\n")


@app.command()
def add(
    person: _Person,
    kind: Annotated[str, typer.Argument(help="name, allergy, plan ...; a wrong one lists them all.")],
    value: Annotated[str, typer.Argument(help="What is to be remembered, short.")],
    day: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The day of a plan.")] = None,
    last_day: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Its last day, where it has several.")] = None,
) -> None:
    """Add a memory; it is marked as added by hand."""
    days = {"day": _date(day), "last_day": _date(last_day)}
    _check(kind, value, **days)
    with use_cases() as (deps, operator):
        made = memories.add(deps, operator, memories.find_person(deps, operator, person), kind=kind, value=value, **days)
    sys.stdout.write(f"Remembered: {made}\n")


@app.command()
def correct(person: _Person, memory: _Memory, value: Annotated[str, typer.Argument(help="What is right instead.")]) -> None:
    """Put another value in a memory's place; the old one stays as ended."""
    with use_cases() as (deps, operator):
        contact = memories.find_person(deps, operator, person)
        one = _named(memories.read(deps, operator, contact, limit=memories.MOST_ASKED).memories, memory)
        _check(one.kind, value)
        made = memories.correct(deps, operator, contact, one.id, value=value)
    sys.stdout.write(f"Corrected: {made}\n")


@app.command()
def end(person: _Person, memory: _Memory) -> None:
    """Say that a memory is true no longer; it stays in the record."""
    with use_cases() as (deps, operator):
        contact = memories.find_person(deps, operator, person)
        known = memories.read(deps, operator, contact, limit=memories.MOST_ASKED)
        memories.end(deps, operator, contact, _named(known.memories, memory).id)
    sys.stdout.write("Ended.\n")


@app.command()
def erase(
    person: _Person,
    memory: Annotated[str | None, typer.Argument(metavar="[MEMORY]", help="One memory; without it, everything.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Erase a memory, or everything that a person said and that is remembered, with every copy of the words."""
    with use_cases() as (deps, operator):
        contact = memories.find_person(deps, operator, person)
        known = memories.read(deps, operator, contact, limit=memories.MOST_ASKED)
        one = None if memory is None else _named(known.memories, memory)
        what = (
            f"everything of {_plain(known.person.called)}: messages, answers, notes, prompts and memories"
            if one is None
            else f"{one.kind}: {one.text}"
        )
        if not yes:
            typer.confirm(f"Erase {what}? It cannot be undone.", abort=True)
        memories.erase(deps, operator, contact, None if one is None else one.id)
    sys.stdout.write("Erased.\n")


@app.command()
def export(person: _Person, out: Annotated[Path, typer.Option(dir_okay=False, metavar="FILE.json", help="The file to write.")]) -> None:
    """Write everything that is and was remembered of a person into a file, to hand to them."""
    with use_cases() as (deps, operator):
        contact = memories.find_person(deps, operator, person)
        try:
            file = open_private(out)
        except OSError as error:
            sys.stderr.write(f"--out: {out} cannot be written: {error.strerror}\n")
            raise typer.Exit(2) from error
        with file:
            found = memories.export(deps, operator, contact)
            json.dump(msgspec.to_builtins(found), file, ensure_ascii=False, indent=1)
    sys.stdout.write(f"{len(found['memories'])} memories in {out}. Protect the file like the database.\n")


def _named(rows: list[Stored], typed: str) -> Stored:
    found = [one for one in rows if typed and str(one.id).startswith(typed.lower())]
    if len(found) != 1:
        raise NotFound(
            f"{'No memory' if not found else 'More than one memory'} begins with “{typed}”. `chinwag memory show` lists them with their ids."
        )
    return found[0]


def _check(kind: str, value: str, *, day: date | None = None, last_day: date | None = None) -> None:
    wrong = memories.check(kind, value, day=day, last_day=last_day)
    if wrong is not None:
        raise typer.BadParameter(wrong)


def _line(one: Stored) -> str:
    days = "" if one.day is None else f" on {one.day}" if one.last_day is None else f" from {one.day} to {one.last_day}"
    state = (
        ""
        if one.valid_to is None
        else f" (until {_day(one.valid_to)}{f', now {one.superseded_by_text}' if one.superseded_by_text else ''})"
    )
    said = f"said {_day(one.said_at)}: {' '.join(one.source_text.split())[:80]!r}" if one.source_text else f"{_day(one.said_at)}"
    return f"{str(one.id)[:8]}  {one.kind}: {one.text}{days}{state}  [{said}; {one.created_by}]\n"


def _plain(said: str) -> str:
    """Somebody's words on one line, without signs that a terminal obeys."""
    return "".join(sign if sign.isprintable() else " " for sign in " ".join(said.split()))


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"


def _date(moment: datetime | None) -> date | None:
    return None if moment is None else moment.date()
