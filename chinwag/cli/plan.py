"""`chinwag plan`: does a model fit some GPUs, laid out how, how fast, at what cost, and with which commands."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from chinwag.cli import plan_report
from chinwag.cli.plan_options import Asked, Folder, GpusText, ModelKey, one_of, plan_options
from inference.catalog import load
from inference.errors import CatalogError
from inference.plan import CannotPlan, Plan, make_plan
from inference.plan.fragments import emit as write_fragment
from inference.plan.picture import svg

_FRAGMENTS = ("compose", "kubernetes")

_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
_Picture = Annotated[Path | None, typer.Option("--picture", help="Write the plan as an SVG picture to this file.")]
_Emit = Annotated[str | None, typer.Option("--emit", help="Print a compose file or Kubernetes objects instead: compose, kubernetes.")]


@plan_options
def command(
    *,
    model: ModelKey,
    gpus: GpusText,
    asked: Asked,
    as_json: _Json = False,
    picture: _Picture = None,
    emit: _Emit = None,
    catalog: Folder = None,
) -> None:
    """Work out whether a model fits some GPUs, and what follows from that. Nothing is started and no GPU is needed.

    \b
    chinwag plan --model llama-4-scout --gpus 8xH100
                              layout, memory, speed, cost, the command
    chinwag plan --model llama-4-scout --gpus h100 --kv fp8
                              the smallest machine: 4 bits, an fp8 cache
    chinwag plan --model llama-4-maverick --gpus 8xH100 --contacts 20000
                              whether it can serve the busiest hour of 20,000 people
    chinwag plan --model llama-4-maverick --gpus 8xH100 --dp 8
                              why this layout does not fit, by how much, and what would
    chinwag plan --model deepseek-v3 --gpus 16xH100 --prefer throughput --emit kubernetes
                              two hosts, as objects to apply
    chinwag plan --model gemma-3-27b --gpus 2xL40S --picture plan.svg
                              memory and layout as a picture

    A plan that does not fit is also an answer: exit code 0, and with --json "fits" is false. A question that makes no sense (unknown model, impossible
    GPUs, more context than the model reads) is one line and exit code 2. Warnings go to stderr.
    """  # noqa: D301 - typer wants the character that \b stands for
    try:
        question = asked()
        form = one_of(emit, _FRAGMENTS, "--emit")
        models = load(catalog)
        plan = make_plan(models.get(model), gpus, today=datetime.now(UTC).date(), question=question, rivals=models.models)
        if picture is not None:
            _draw(plan, picture)
    except (CannotPlan, CatalogError) as error:
        sys.stderr.write(f"{error}\n")
        raise typer.Exit(2) from error
    for warning in plan.warnings:
        sys.stderr.write(f"Note: {warning}\n")
    _print(plan, form, as_json=as_json)


def _print(plan: Plan, form: str | None, *, as_json: bool) -> None:
    fragment = None if form is None else write_fragment(plan, form)
    if as_json:
        row = plan.to_json() | ({} if fragment is None else {"fragment": fragment})
        sys.stdout.write(json.dumps(row, ensure_ascii=False, indent=2, allow_nan=False) + "\n")
    elif fragment is not None:
        sys.stdout.write(fragment)
    else:
        plan_report.show(plan)


def _draw(plan: Plan, path: Path) -> None:
    if path.suffix.lower() != ".svg":
        raise CannotPlan(f"--picture writes SVG: give a name that ends in .svg, not {path.name!r}")
    try:
        path.write_text(svg(plan), "utf-8")
    except OSError as error:
        raise CannotPlan(f"--picture cannot write {path}: {error.strerror}") from error
