"""`chinwag compare`: two or more models are asked the same turns; their answers side by side."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TextIO

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from bots.admin.endpoints import keys
from chinwag.cli.private_file import open_private
from chinwag.cli.use_cases import use_cases
from chinwag.compare import figures, page, replay, talks
from chinwag.compare.replay import Asking, Reply
from chinwag.local.ground import environment
from inference.client import Breaker, ModelClient
from inference.errors import BadModelSetting
from inference.settings import ModelSettings
from inference.types import Endpoint
from workers.model_routes import as_endpoint

#: The model of the environment, or of the running stack, unless an endpoint has this name.
_OWN = "default"
_REPLIES = "replies.jsonl"
_COLUMNS = ("endpoint", "answered", "words", "first word", "whole", "95 % within", "tokens", "1,000 replies")


def command(
    models: Annotated[
        str, typer.Option(help="Two or more endpoints, separated by commas: names from `chinwag endpoint list`, or `default`.")
    ],
    source: Annotated[
        Path,
        typer.Option("--from", exists=True, dir_okay=False, metavar="FILE.jsonl", help="Conversations, one per line, as in batch files."),
    ],
    out: Annotated[Path, typer.Option(file_okay=False, help="The folder that the page and the replies are written into.")] = Path(
        "comparison"
    ),
    persona: Annotated[str, typer.Option(help="System text for conversations that have none.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="Ask only this many turns, the first ones.")] = 200,
    parallel: Annotated[int, typer.Option(min=1, max=64, help="Calls at the same time to each endpoint.")] = 2,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest answer, in tokens.")] = 400,
    patience: Annotated[float, typer.Option(min=0, metavar="S", help="How long to wait for a server that is busy or down.")] = 60.0,
) -> None:
    """Ask the same turns of several models: answers side by side, length, time, tokens, cost of 1,000 replies.

    \b
    chinwag conversation export --out talks.jsonl
    chinwag compare --models llama-4-scout,deepseek-v3 --from talks.jsonl

    A line is {"custom_id": "a1", "text": "..."} or an OpenAI batch line with body.messages; of a conversation every turn is asked, and
    all models see the history as it is in the file. Writes comparison/index.html and comparison/replies.jsonl.
    """  # noqa: D301 - typer wants the character that \b stands for
    names = list(dict.fromkeys(name.strip() for name in models.split(",") if name.strip()))
    if len(names) < 2:
        raise typer.BadParameter("name two endpoints or more, separated by commas", param_hint="--models")
    try:
        turns = talks.read(source, persona=persona)[:limit]
        settings = ModelSettings.from_env(environment(os.environ))
        clients = [_client(endpoint, settings) for endpoint in _endpoints(names, settings)]
        lines = _opened(out)
    except (talks.BadTalks, BadModelSetting, OSError) as error:
        sys.stderr.write(f"{error}\n")
        raise typer.Exit(2) from error
    asking = Asking(max_tokens=max_tokens, temperature=settings.temperature, top_p=settings.top_p, patience_s=patience)
    try:
        with lines:
            rows = _replayed(turns, clients, asking, parallel=parallel, lines=lines)
        _write(rows, out, source)
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        raise typer.Exit(1) from error
    if not any(reply.text is not None for row in rows for reply in row):
        sys.stderr.write(f"No endpoint answered. The first said: {rows[0][0].fault}\n")
        raise typer.Exit(1)


def _opened(out: Path) -> TextIO:
    """Create the folder and the file of replies before anything is asked and paid for."""
    out.mkdir(parents=True, exist_ok=True)
    return open_private(out / _REPLIES)


def _endpoints(names: Sequence[str], settings: ModelSettings) -> list[Endpoint]:
    with use_cases() as (deps, operator):
        known = keys.by_name(deps, operator)
        missing = [name for name in names if name not in known and name != _OWN]
        if missing:
            there = ", ".join([_OWN, *known])
            raise BadModelSetting(f"There is no endpoint {missing[0]}; there are: {there}. `chinwag endpoint add` connects one.")
        return [
            as_endpoint(known[name], keys.opened(deps, operator, known[name])) if name in known else settings.open_endpoint()
            for name in names
        ]


def _client(endpoint: Endpoint, settings: ModelSettings) -> ModelClient:
    breaker = Breaker(failures=settings.breaker_failures, probe_s=settings.breaker_probe_s)
    return ModelClient(endpoint, timeouts=settings.timeouts, breaker=breaker, max_response_bytes=settings.max_response_bytes)


def _replayed(
    turns: Sequence[talks.Turn], clients: Sequence[ModelClient], asking: Asking, *, parallel: int, lines: TextIO
) -> list[list[Reply]]:
    """Ask, and write each reply as it comes, since it is paid for. At the end they are in the order of the turns."""
    console = Console(stderr=True)
    columns = (TextColumn("Asking"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=len(turns) * len(clients))

        def told(reply: Reply) -> None:
            lines.write(page.line(reply))
            lines.flush()
            bar.advance(task)

        rows = replay.replay(turns, clients, asking, parallel=parallel, told=told)
    # The same lines, so the same number of bytes.
    lines.seek(0)
    lines.writelines(page.line(reply) for row in rows for reply in row)
    return rows


def _write(rows: Sequence[Sequence[Reply]], out: Path, source: Path) -> None:
    sums = [figures.of([row[column] for row in rows]) for column in range(len(rows[0]))]
    html = out / "index.html"
    with open_private(html) as file:
        file.write(page.html(rows, sums, source=source.name, at=datetime.now(UTC)))
    table = Table(*_COLUMNS, box=None, pad_edge=False)
    for words in page.table(sums):
        table.add_row(*words)
    Console().print(table)
    sys.stdout.write(f"Side by side: {html}\nEach reply: {out / _REPLIES}\n")
