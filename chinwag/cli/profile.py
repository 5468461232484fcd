"""`chinwag profile`: which endpoints answer for a profile, in which order, and which are replicas of each other."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from bots.admin.endpoints import profiles, tiers
from bots.admin.endpoints.profiles import Profile
from chinwag.cli.use_cases import use_cases

app = typer.Typer(no_args_is_help=True, help="Show and change profiles: which endpoints answer, in which order.")

_Name = Annotated[str, typer.Argument(help="The profile's name, as in the bot's settings.")]


@app.command("list")
def list_(*, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List all profiles: those with endpoints, those that bots use, those that running workers serve."""
    with use_cases() as (deps, operator):
        found = profiles.overview(deps, operator).profiles
    if as_json:
        rows = [{"name": one.name, "tiers": one.order, "bots": [bot.name for bot in one.bots], "is_alive": one.is_alive} for one in found]
        sys.stdout.write(json.dumps(rows, ensure_ascii=False) + "\n")
        return
    for one in found:
        bots = f"  bots {', '.join(bot.name for bot in one.bots)}" if one.bots else "  no bot"
        sys.stdout.write(f"{one.name}: {_order(one)}{bots}{'' if one.is_alive else '  no worker running'}\n")
        _warn(one)


@app.command("set")
def set_(
    name: _Name,
    order: Annotated[
        list[str],
        typer.Argument(
            metavar="ENDPOINT...",
            help="Endpoints in the order in which they are tried; replicas joined by commas, or by position: a=1 b=1 c=2.",
        ),
    ],
) -> None:
    """Set the endpoints of a profile: each is used when those before it are down or busy.

    Try: chinwag profile set default local-a,local-b hosted
    """
    try:
        wanted = tiers.read(order)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="ENDPOINT") from error
    with use_cases() as (deps, operator):
        made = profiles.arrange(deps, operator, name, wanted)
    sys.stdout.write(f"{name}: {_order(made)}\n")
    _warn(made)
    if not made.is_alive:
        sys.stderr.write(f"note  no running worker serves it: start one with --queues reply.{name},deliver,batch.{name}\n")


@app.command()
def remove(name: _Name) -> None:
    """Remove every endpoint from a profile; then the worker's own model answers."""
    with use_cases() as (deps, operator):
        before = profiles.overview(deps, operator).profile(name)
        profiles.arrange(deps, operator, name, ())
    said = "the worker's own model answers" if before.tiers else "it had no endpoints"
    sys.stdout.write(f"{name}: {said}\n")


def _order(profile: Profile) -> str:
    """The order in words."""
    parts = [" or ".join(f"{row.name} ({'hosted' if row.leaves_house else 'own'})" for row in tier) for tier in profile.tiers]
    return ", then ".join(parts) or "the worker's own model"


def _warn(profile: Profile) -> None:
    if profile.engines_only:
        sys.stderr.write(
            f"note  {profile.name}: only workers with an engine of their own serve it. While such an engine is down, no worker tries the next endpoint."
            f" Also start a worker without an engine: --queues reply.{profile.name},deliver\n"
        )
    if profile.mute:
        bots = ", ".join(bot.name for bot in profile.mute)
        sys.stderr.write(
            f"note  {profile.name}: the conversations of {bots} must stay on your own servers, and every endpoint is hosted: nothing answers"
            " them. Add an endpoint of your own, or `chinwag bot set NAME --data-may-leave`.\n"
        )
