"""`chinwag profile`: which endpoints answer for a profile, in which order, and which stand for one another."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from bots.admin.endpoints import endpoints as models
from bots.admin.endpoints import tiers
from bots.admin.endpoints.endpoints import Profile
from chinwag.cli.database import desk

app = typer.Typer(no_args_is_help=True, help="Show and arrange profiles: which endpoints answer, in which order.")

_ACTOR = "cli"
_Name = Annotated[str, typer.Argument(help="The profile's name, as bots have it.")]


@app.command("list")
def list_(*, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List all profiles: those with endpoints, those that bots name, those that workers answer for."""
    with desk() as at:
        found = models.look(at.connection, tenant=at.tenant).profiles
    if as_json:
        rows = [{"name": one.name, "tiers": one.order, "bots": [bot.name for bot in one.bots], "is_alive": one.is_alive} for one in found]
        sys.stdout.write(json.dumps(rows, ensure_ascii=False) + "\n")
        return
    for one in found:
        bots = f"  bots {', '.join(bot.name for bot in one.bots)}" if one.bots else "  no bot"
        sys.stdout.write(f"{one.name}: {_order(one)}{bots}{'' if one.is_alive else '  no worker alive'}\n")
        _warn(one)


@app.command("set")
def set_(
    name: _Name,
    order: Annotated[
        list[str],
        typer.Argument(metavar="ENDPOINT...", help="One after the other; replicas joined by commas, or by position: a=1 b=1 c=2."),
    ],
) -> None:
    """Make a profile of these endpoints: the next is asked when those before it are away or full.

    Try: chinwag profile set default local-a,local-b hosted
    """
    try:
        wanted = tiers.read(order)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="ENDPOINT") from error
    with desk() as at:
        models.arrange(at.connection, wanted, tenant=at.tenant, profile=name, actor=_ACTOR)
        made = models.look(at.connection, tenant=at.tenant).profile(name)
    sys.stdout.write(f"{name}: {_order(made)}\n")
    _warn(made)
    if not made.is_alive:
        sys.stderr.write(f"look  no living worker takes its work: start one with --queues reply.{name},deliver,batch.{name}\n")


@app.command()
def remove(name: _Name) -> None:
    """Take every endpoint out of a profile: the worker's own model answers then."""
    with desk() as at:
        before = models.look(at.connection, tenant=at.tenant).profile(name)
        models.arrange(at.connection, (), tenant=at.tenant, profile=name, actor=_ACTOR)
    said = "the worker's own model answers" if before.tiers else "there was no endpoint in it"
    sys.stdout.write(f"{name}: {said}\n")


def _order(profile: Profile) -> str:
    """The order in words."""
    words = [" or ".join(f"{row.name} ({'hosted' if row.leaves_house else 'own'})" for row in tier) for tier in profile.tiers]
    return ", then ".join(words) or "the worker's own model"


def _warn(profile: Profile) -> None:
    if profile.engines_only:
        sys.stderr.write(
            f"look  {profile.name}: only engines' own workers take its work: while an engine is away nobody asks the next endpoint. Start a worker"
            f" without an engine beside them: --queues reply.{profile.name},deliver\n"
        )
    if profile.mute:
        bots = ", ".join(bot.name for bot in profile.mute)
        sys.stderr.write(
            f"look  {profile.name}: the conversations of {bots} stay in the house, and every endpoint is outside: nobody answers them."
            " Add one of your own, or `chinwag bot set NAME --data-may-leave`.\n"
        )
