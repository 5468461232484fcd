"""`chinwag model`: the models that can be planned, served or compared; what is known of each, and from where; serving one."""

from __future__ import annotations

import json
import sys
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from chinwag.cli import model_card, model_embeddings, model_probe, model_reembed, model_serve, model_trial
from inference.catalog import Catalog, load
from inference.errors import CatalogError

app = typer.Typer(
    no_args_is_help=True,
    help="Models of the catalog (list, show), your own engine (serve), what an endpoint really does (probe, embeddings), which may find facts to remember (trial), vectors of another model (reembed).",
)

_Folder = Annotated[
    Path | None,
    typer.Option(
        "--catalog",
        envvar="CHINWAG_MODEL_CATALOG",
        help="Folder with your own model files; a file with the key of a shipped model replaces that model.",
    ),
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_(*, catalog: _Folder = None, as_json: _Json = False) -> None:
    """List all models: size, context, weights, licence, and which hosted ones have ended."""
    with _catalog(catalog) as found:
        if as_json:
            _print_json([model_card.as_json(model) for model in found.models])
        else:
            _console().print(model_card.overview(found.models, today=datetime.now(UTC).date()))
            sys.stdout.write("\n`chinwag model show KEY` shows everything about one model, with sources.\n")


@app.command()
def show(
    key: Annotated[str, typer.Argument(help="The model's key; `chinwag model list` shows all.")],
    *,
    catalog: _Folder = None,
    as_json: _Json = False,
) -> None:
    """Show everything known about a model: architecture, weights, licence and its obligations, flags, prices; each with its source."""
    with _catalog(catalog) as found:
        model = found.get(key)
        if as_json:
            _print_json(model_card.as_json(model))
        else:
            _console().print(model_card.card(model, today=datetime.now(UTC).date()))


app.command("probe")(model_probe.command)
app.command("embeddings")(model_embeddings.command)
app.command("reembed")(model_reembed.command)
app.command("trial")(model_trial.command)
app.command("serve")(model_serve.command)


@contextmanager
def _catalog(folder: Path | None) -> Generator[Catalog]:
    """Open the catalog. An error in it ends the command with one line and exit code 2."""
    try:
        yield load(folder)
    except CatalogError as error:
        sys.stderr.write(f"{error}\n")
        raise typer.Exit(2) from error


def _console() -> Console:
    return Console(highlight=False, markup=False, emoji=False)


def _print_json(value: object) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")
