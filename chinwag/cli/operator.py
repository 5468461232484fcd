"""`chinwag operator`: who may sign in to the admin pages. A one-time link lets them choose a password."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from bots.admin import operators as acts
from bots.domain import Role
from bots.errors import Conflict
from bots.storage import operators
from chinwag.cli.database import Desk, desk

app = typer.Typer(no_args_is_help=True, help="Let people in to the admin pages: add, list, role, disable, link.")

_ACTOR = "cli"
_Name = Annotated[str, typer.Argument(help="The name they sign in with.")]


@app.command("list")
def list_() -> None:
    """List all operators."""
    with desk() as at:
        for one in operators.list_all(at.connection, tenant=at.tenant):
            state = "disabled" if one.disabled_at else "active" if one.has_password else "no password yet"
            last = f"{one.last_in_at:%Y-%m-%d %H:%M}" if one.last_in_at else "never"
            sys.stdout.write(f"{one.name}  {one.role.value}  {state}  last in {last}\n")


@app.command()
def add(name: _Name, role: Annotated[Role, typer.Option(help="What they may do; each includes those before it.")] = Role.VIEWER) -> None:
    """Add somebody and print the one-time link that lets them choose a password.

    chinwag operator add ana --role agent
    """
    error = acts.name_error(name.strip())
    with desk() as at:
        if error:
            raise Conflict(error)
        _, token = acts.add(at.connection, tenant=at.tenant, actor=_ACTOR, name=name.strip(), role=role)
        address = _address(at, token)
    sys.stdout.write(address)


@app.command()
def role(name: _Name, new: Annotated[Role, typer.Argument(metavar="ROLE", help="viewer, agent, operator or owner.")]) -> None:
    """Change what somebody may do; somebody has to stay owner."""
    with desk() as at:
        found = acts.wanted(at.connection, tenant=at.tenant, name=name)
        acts.change_role(at.connection, tenant=at.tenant, actor=_ACTOR, operator=found.id, role=new)
    sys.stdout.write(f"{name} is {new.value} now.\n")


@app.command()
def disable(name: _Name, undo: Annotated[bool, typer.Option("--undo", help="Let them in again.")] = False) -> None:
    """Let somebody in no more: sessions, tokens and links end."""
    with desk() as at:
        found = acts.wanted(at.connection, tenant=at.tenant, name=name)
        act = acts.enable if undo else acts.disable
        act(at.connection, tenant=at.tenant, actor=_ACTOR, operator=found.id)
    sys.stdout.write(f"{name} may sign in again.\n" if undo else f"{name} is let in no more.\n")


@app.command()
def link(name: _Name) -> None:
    """Print a fresh one-time link for somebody who is to choose a new password; links before it end."""
    with desk() as at:
        found = acts.wanted(at.connection, tenant=at.tenant, name=name)
        _, token = acts.link(at.connection, tenant=at.tenant, actor=_ACTOR, operator=found.id)
        address = _address(at, token)
    sys.stdout.write(address)


def _address(at: Desk, token: str) -> str:
    return f"http://{at.settings.web_host}:{at.settings.web_port}/admin/enter?token={token}\n"
