"""`chinwag tenant`: the tenants of this installation, and how they share its slots."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from bots.admin import weights
from chinwag.cli.use_cases import use_cases

app = typer.Typer(no_args_is_help=True, help="Show tenants, and how they share the slots.")


@app.command("list")
def list_() -> None:
    """List all tenants with their weight, their accounts and the turns that they have in work."""
    with use_cases() as (deps, operator):
        found = weights.of_tenants(deps, operator)
    for one in found:
        sys.stdout.write(f"{one.name}  weight {one.weight:g}  {one.accounts} accounts  {one.running} turns in work\n")


@app.command()
def weight(
    name: Annotated[str, typer.Argument(help="The tenant's name.")],
    new: Annotated[str, typer.Argument(metavar="WEIGHT", help="0.01 to 1000; 1 is the weight of whoever was given none.")],
) -> None:
    """Give a tenant more or less of the slots than others, where more people wait than there are slots.

    chinwag tenant weight acme 3
    """
    with use_cases() as (deps, operator):
        weights.set_tenant(deps, operator, name, weights.read(new))
    sys.stdout.write(f"{name}: weight {weights.read(new):g}\n")
