"""`chinwag model trial`: whether a profile's models find facts to remember so well that they may propose them."""

from __future__ import annotations

import json
import os
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from bots.admin.endpoints import trials
from chinwag.cli.model_probe import end
from chinwag.cli.use_cases import use_cases
from chinwag.local.ground import environment
from inference.errors import BadModelSetting, InferenceError
from inference.settings import ModelSettings
from inference.types import Endpoint
from workers import trial, trying
from workers.model_routes import ModelRoutes, profile_key
from workers.trial import Result, Score


def command(
    profile: Annotated[str, typer.Option(help="The profile whose models are tried.")] = "default",
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Ask each model of a profile for the facts in sixty messages in ten languages. Exit code 1 when one did not pass.

    A profile may look for facts that the rules miss once all of its models have passed: 95 % of what would be remembered is right, and it is more than
    the rules find. Until then nothing is asked, and the rules remember alone.
    """
    with use_cases() as (deps, operator):
        try:
            settings = ModelSettings.from_env(environment(os.environ))
            routes = ModelRoutes(deps.web, deps.keyring, settings)
        except BadModelSetting as error:
            end(str(error))
        tried = list[tuple[Endpoint, Result]]()
        for endpoint in trial.models(routes.router, profile_key(operator.tenant_id, profile)):
            result = _tried(endpoint, settings)
            tried.append((endpoint, result))
            trials.store(deps, operator, profile, result.stored(endpoint), [trying.through(one, found) for one, found in tried])
    if as_json:
        rows = [{"endpoint": one.name, "model": one.model, "passed": result.passed} | result.figures() for one, result in tried]
        sys.stdout.write(json.dumps(rows, ensure_ascii=False, indent=2) + "\n")
    else:
        for endpoint, result in tried:
            _show(endpoint, result)
    if not tried or not all(result.passed for _, result in tried):
        raise typer.Exit(1)


def _tried(endpoint: Endpoint, settings: ModelSettings) -> Result:
    console = Console(stderr=True)
    columns = (TextColumn(f"Asking {endpoint.name}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=len(trial.talks()))
        result, ask = Result(), trial.asker(endpoint, settings)
        try:
            for talk in trial.talks():
                result = result.and_(talk, ask)
                bar.advance(task)
        except InferenceError as error:
            end(f"{endpoint.name} was not tried to the end, so nothing was stored: {error}")
    return result


def _show(endpoint: Endpoint, result: Result) -> None:
    table = Table("", "found", "right", "precision", "recall", box=None, pad_edge=False)
    scores: tuple[tuple[str, Score], ...] = (
        ("rules alone", result.rules),
        ("model, as it answered", result.proposed),
        ("model, after the checks", result.checked),
        ("rules and model", result.together),
    )
    for name, score in scores:
        table.add_row(name, str(score.found), str(score.right), f"{score.precision:.2f}", f"{score.recall:.2f}")
    said = "passed: it may propose facts to remember." if result.passed else f"did not pass, and is not asked. {result.why_not}"
    sys.stdout.write(f"{endpoint.name} ({endpoint.model}): {said}\n")
    Console().print(table)
