"""`chinwag batch`: a file of questions is checked, answered through the queue, and returned as a file of answers."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from bots.admin import batches
from bots.admin.acting import Operator
from bots.admin.bots import editor
from bots.admin.deps import Deps
from bots.admin.money import money
from bots.errors import NotFound
from bots.storage.batch_intake import Submitted
from bots.storage.batches import Batch
from chinwag.cli import batch_progress
from chinwag.cli.batch_progress import in_words
from chinwag.cli.use_cases import use_cases

app = typer.Typer(no_args_is_help=True, help="Answer files of questions; conversations are always answered first.")

_PIECE = 1024 * 1024

_Id = Annotated[str, typer.Argument(metavar="BATCH", help="The batch's id, or the beginning of it; `chinwag batch list` shows all.")]
_Out = Annotated[Path | None, typer.Option(dir_okay=False, help="The file to write the results to.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def submit(
    file: Annotated[Path, typer.Argument(metavar="FILE.jsonl", help="One JSON object per line; - reads standard input.", allow_dash=True)],
    bot: Annotated[str, typer.Option(help="The bot that answers.")],
    profile: Annotated[str | None, typer.Option(help="A model profile in place of the bot's own.")] = None,
    key: Annotated[
        str | None, typer.Option(help="Idempotency key: submitting the same file with the same key again starts no second batch.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the batch has ended; exit code 1 when items failed.")] = False,
    out: _Out = None,
) -> None:
    """Check a file and start its batch.

    A line is {"custom_id": "a1", "text": "..."} or an OpenAI batch line with method, url and body.

    Try: chinwag batch submit docs/examples/questions.jsonl --bot demo --wait --out answers.jsonl
    """
    if out is not None and not wait:
        sys.stderr.write("--out needs --wait; without --wait, get the answers later with `chinwag batch results`\n")
        raise typer.Exit(2)
    if str(file) != "-" and not file.is_file():
        raise NotFound(f"{file} is not a file.")
    with use_cases() as (deps, operator):
        editor.by_name(deps, operator, bot)
        found = _submit(deps, operator, file, bot=bot, profile=profile, key=key)
        if found.batch is None:
            _complain(found)
            raise typer.Exit(2)
        _say_started(deps, operator, found.batch, found)
        if wait:
            _wait(deps, operator, found.batch, out)


@app.command("list")
def list_(as_json: _Json = False) -> None:
    """List the newest batches."""
    with use_cases() as (deps, operator):
        found = batches.newest(deps, operator)
    if as_json:
        sys.stdout.write(json.dumps([_values(batch) for batch in found], ensure_ascii=False) + "\n")
        return
    for batch in found:
        sys.stdout.write(f"{batch.id}  {batch.created_at:%Y-%m-%d %H:%M}  {batch.bot}  {batch.name}  {in_words(batch)}\n")
    if not found:
        sys.stdout.write("No batch yet. Try: chinwag batch submit docs/examples/questions.jsonl --bot demo\n")


@app.command()
def show(batch: _Id, as_json: _Json = False) -> None:
    """Show the progress of a batch, and what failed."""
    with use_cases() as (deps, operator):
        details = batches.details(deps, operator, batches.find(deps, operator, batch), limit=20)
    found, spent = details.batch, details.spent
    if as_json:
        values = _values(found) | asdict(spent) | {"failed_items": [asdict(item) for item in details.failed]}
        sys.stdout.write(json.dumps(values, ensure_ascii=False) + "\n")
        return
    sys.stdout.write(
        f"{found.id}  {found.name}, bot {found.bot}, queue {found.queue}, submitted by {found.created_by}\n{in_words(found)}\n"
    )
    cost = f"; {money(spent.cost)}" if spent.cost is not None or spent.tokens_in else ""
    about = "about " if spent.estimated else ""
    sys.stdout.write(f"tokens: {about}{spent.tokens_in} in ({spent.tokens_cached} cached), {spent.tokens_out} out{cost}\n")
    for item in details.failed:
        sys.stdout.write(f"line {item.n}, {item.custom_id}: {batches.reason(item)}\n")
    if found.failed > len(details.failed):
        sys.stdout.write(f"... and {found.failed - len(details.failed)} more\n")


@app.command()
def pause(batch: _Id) -> None:
    """Start no more items; running ones finish."""
    with use_cases() as (deps, operator):
        found = batches.find(deps, operator, batch)
        batches.pause(deps, operator, found)
    sys.stdout.write(f"{found}: paused\n")


@app.command()
def resume(batch: _Id) -> None:
    """Go on after a pause."""
    with use_cases() as (deps, operator):
        found = batches.find(deps, operator, batch)
        batches.resume(deps, operator, found)
    sys.stdout.write(f"{found}: running\n")


@app.command()
def cancel(batch: _Id) -> None:
    """End a batch for good; the answers so far stay stored."""
    with use_cases() as (deps, operator):
        found = batches.find(deps, operator, batch)
        batches.cancel(deps, operator, found)
    sys.stdout.write(f"{found}: cancelled\n")


@app.command()
def remove(batch: _Id) -> None:
    """Erase a batch that has ended, with its questions and answers."""
    with use_cases() as (deps, operator):
        found = batches.find(deps, operator, batch)
        items = batches.remove(deps, operator, found)
    sys.stdout.write(f"{found}: removed, {items} items\n")


@app.command()
def retry(batch: _Id) -> None:
    """Ask the failed items again."""
    with use_cases() as (deps, operator):
        found = batches.find(deps, operator, batch)
        count = batches.retry(deps, operator, found)
    sys.stdout.write(f"{found}: {count} items are asked again\n")


@app.command()
def results(batch: _Id, out: _Out = None) -> None:
    """Print the answers as JSONL in the order of the file, or write them into a file."""
    with use_cases() as (deps, operator):
        found = batches.get(deps, operator, batches.find(deps, operator, batch))
        if out is None:
            for part in batches.results(deps, operator, found.id):
                sys.stdout.write(part)
        else:
            _write(deps, operator, found.id, out)
    if left := found.waiting + found.running:
        sys.stderr.write(f"{left} of {found.total} lines are not answered yet\n")


def _submit(deps: Deps, operator: Operator, file: Path, *, bot: str, profile: str | None, key: str | None) -> Submitted:
    name = "standard input" if str(file) == "-" else file.name
    try:
        with batch_progress.opened(file) as (source, size), batch_progress.checking(size) as tell:
            pieces = iter(lambda: source.read(_PIECE), b"")
            return batches.submit(deps, operator, pieces, bot=bot, name=name[:200], profile=profile, key=key, told=tell)
    except OSError as error:
        raise NotFound(f"{file} cannot be read: {error.strerror}") from error


def _complain(found: Submitted) -> None:
    for line in found.bad:
        sys.stderr.write(f"line {line.n}: {line.reason}\n" if line.n else f"{line.reason}\n")
    if found.bad_count > len(found.bad):
        sys.stderr.write(f"... and {found.bad_count - len(found.bad)} more\n")
    lines = "line is" if found.bad_count == 1 else "lines are"
    sys.stderr.write("Nothing was started.\n" if not found.bad[0].n else f"{found.bad_count} {lines} invalid. Nothing was started.\n")


def _say_started(deps: Deps, operator: Operator, batch: UUID, found: Submitted) -> None:
    state = "already exists under this key" if found.existing else "started"
    sys.stdout.write(f"{batch}: {found.total} lines, {state}\n")
    sys.stdout.flush()
    details = batches.details(deps, operator, batch, limit=1)
    if not details.is_served:
        sys.stderr.write(f"No worker serves the queue {details.batch.queue} now; the batch waits until one does.\n")


def _wait(deps: Deps, operator: Operator, batch: UUID, out: Path | None) -> None:
    try:
        found = batch_progress.follow(lambda: batches.get(deps, operator, batch))
    except KeyboardInterrupt:
        sys.stderr.write(f"\nThe batch continues. Show it: chinwag batch show {batch}; end it: chinwag batch cancel {batch}\n")
        raise typer.Exit(130) from None
    if out is not None:
        _write(deps, operator, batch, out)
    sys.stdout.write(f"{in_words(found)}\n")
    if found.failed or found.state == "cancelled":
        raise typer.Exit(1)


def _write(deps: Deps, operator: Operator, batch: UUID, out: Path) -> None:
    """Write the results completely, or not at all."""
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(batches.results(deps, operator, batch))
            file.flush()
            os.fsync(file.fileno())
        part.replace(out)
    except OSError as error:
        raise NotFound(f"{out} cannot be written: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)


def _values(batch: Batch) -> dict[str, Any]:
    return {name: value if isinstance(value, (int, float)) or value is None else str(value) for name, value in asdict(batch).items()}
