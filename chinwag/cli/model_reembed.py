"""`chinwag model reembed`: gives every turn a vector of the present embedding model, while the service runs."""

from __future__ import annotations

import os

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bots.admin.endpoints import vectors
from bots.settings import Settings
from chinwag.cli.model_probe import end
from chinwag.cli.use_cases import use_cases
from chinwag.local.ground import environment
from inference.errors import InferenceError
from workers.embedding import Embedding


def command() -> None:
    """Embed every turn that has no vector of CHINWAG_EMBED_MODEL. It can be stopped at any time; the next run goes on where it stopped."""
    embedding = Embedding(Settings.from_env(environment(os.environ)))
    if embedding.model is None:
        end("there is no embedder: set CHINWAG_EMBED_URL")
    console = Console(stderr=True)
    columns = (TextColumn("Embedding"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with use_cases() as (deps, operator):
        total, done = vectors.left(deps, operator, model=embedding.model), 0
        try:
            with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
                task = bar.add_task("", total=total)
                for done in vectors.make_again(deps, operator, embedding.passages, model=embedding.model):
                    bar.update(task, completed=done, total=max(total, done))
        except InferenceError as error:
            end(f"{done} of {total} turns have their vectors; run this again to go on: {error}")
    console.out(f"{done} turns have vectors of {embedding.model} now.")
