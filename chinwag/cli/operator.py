"""`chinwag operator`: who can sign in to the admin pages. A one-time link lets them choose a password."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from bots.admin import operators
from bots.domain import Role
from bots.errors import Conflict
from chinwag.cli.sign_in import enter_address
from chinwag.cli.use_cases import use_cases

app = typer.Typer(no_args_is_help=True, help="Manage who can sign in to the admin pages.")

_Name = Annotated[str, typer.Argument(help="The name they sign in with.")]


@app.command("list")
def list_() -> None:
    """List all operators."""
    with use_cases() as (deps, operator):
        found = operators.list_all(deps, operator)
    for one in found:
        state = "disabled" if one.disabled_at else "active" if one.has_password else "no password yet"
        last = f"{one.last_in_at:%Y-%m-%d %H:%M}" if one.last_in_at else "never"
        sys.stdout.write(f"{one.name}  {one.role.value}  {state}  last sign-in {last}\n")


@app.command()
def add(name: _Name, role: Annotated[Role, typer.Option(help="What they may do; each includes those before it.")] = Role.VIEWER) -> None:
    """Add an operator and print the one-time link that lets them choose a password.

    chinwag operator add ana --role agent
    """
    error = operators.name_error(name.strip())
    with use_cases() as (deps, operator):
        if error:
            raise Conflict(error)
        _, token = operators.add(deps, operator, name.strip(), role=role)
        address = enter_address(deps.settings, token)
    sys.stdout.write(address)


@app.command()
def role(name: _Name, new: Annotated[Role, typer.Argument(metavar="ROLE", help="viewer, agent, operator or owner.")]) -> None:
    """Change an operator's role; there must always be an owner."""
    with use_cases() as (deps, operator):
        operators.change(deps, operator, operators.by_name(deps, operator, name).id, role=new)
    sys.stdout.write(f"The role of {name} is {new.value} now.\n")


@app.command()
def disable(name: _Name, undo: Annotated[bool, typer.Option("--undo", help="Let them sign in again.")] = False) -> None:
    """Disable an operator: they can no longer sign in, and their sessions, tokens and links stop working."""
    with use_cases() as (deps, operator):
        operators.change(deps, operator, operators.by_name(deps, operator, name).id, disabled=not undo)
    sys.stdout.write(f"{name} can sign in again.\n" if undo else f"{name} can no longer sign in.\n")


@app.command()
def link(name: _Name) -> None:
    """Print a new one-time link that lets an operator choose a new password; earlier links stop working."""
    with use_cases() as (deps, operator):
        _, token = operators.link(deps, operator, operators.by_name(deps, operator, name).id)
        address = enter_address(deps.settings, token)
    sys.stdout.write(address)
