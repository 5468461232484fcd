"""`chinwag batch`: a file of questions is checked, answered through the queue, and comes back as a file of answers."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from sqlalchemy import Connection

from bots.admin.money import money
from bots.errors import NotFound
from bots.storage import batch_results, batches, personas
from bots.storage.batch_intake import NewBatch, Submission, Submitted
from bots.storage.batches import Batch
from bots.storage.database import unit
from chinwag.cli import batch_progress
from chinwag.cli.batch_progress import in_words
from chinwag.cli.database import Ground, ground

app = typer.Typer(no_args_is_help=True, help="Answer a file of questions through the queue, behind people who chat.")

_PIECE = 1024 * 1024
_ACTOR = "cli"

_Id = Annotated[str, typer.Argument(metavar="BATCH", help="The batch's id, or its beginning; `chinwag batch list` shows all.")]
_Out = Annotated[Path | None, typer.Option(dir_okay=False, help="The file that the results are written into.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def _get(at: Ground, batch: UUID) -> Batch:
    with unit(at.engine) as connection:
        return batches.get(connection, batch, tenant=at.tenant)


@contextmanager
def _batch(beginning: str) -> Generator[tuple[Ground, UUID, Connection]]:
    """One transaction about one batch."""
    with ground() as at, unit(at.engine) as connection:
        yield at, batches.find(connection, beginning, tenant=at.tenant), connection


@app.command()
def submit(
    file: Annotated[Path, typer.Argument(metavar="FILE.jsonl", help="One JSON object a line; - reads standard input.", allow_dash=True)],
    bot: Annotated[str, typer.Option(help="The bot that answers.")],
    profile: Annotated[str | None, typer.Option(help="The model profile, in place of the bot's.")] = None,
    key: Annotated[str | None, typer.Option(help="Idempotency key: the same key and file are one batch, however often it is sent.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the end; exit code 1 when items failed.")] = False,
    out: _Out = None,
) -> None:
    """Check a file and start its batch.

    A line is {"custom_id": "a1", "text": "..."} or an OpenAI batch line with method, url and body.

    Try: chinwag batch submit docs/examples/questions.jsonl --bot demo --wait --out answers.jsonl
    """
    if out is not None and not wait:
        sys.stderr.write("--out needs --wait; without it fetch the answers later by `chinwag batch results`\n")
        raise typer.Exit(2)
    with ground() as at:
        new = _new(at, file, bot=bot, profile=profile, key=key)
        found = _check(at, file, new)
        if found.batch is None:
            _complain(found)
            raise typer.Exit(2)
        _say_started(at, found)
        if wait:
            _wait(at, found.batch, out)


@app.command("list")
def list_(as_json: _Json = False) -> None:
    """List the newest batches."""
    with ground() as at, unit(at.engine) as connection:
        found = batches.newest(connection, tenant=at.tenant)
    if as_json:
        sys.stdout.write(json.dumps([_values(batch) for batch in found], ensure_ascii=False) + "\n")
        return
    for batch in found:
        sys.stdout.write(f"{batch.id}  {batch.created_at:%Y-%m-%d %H:%M}  {batch.bot}  {batch.name}  {in_words(batch)}\n")
    if not found:
        sys.stdout.write("There is no batch yet: chinwag batch submit docs/examples/questions.jsonl --bot demo\n")


@app.command()
def show(batch: _Id, as_json: _Json = False) -> None:
    """Show how far a batch is, and what failed."""
    with _batch(batch) as (at, wanted, connection):
        found = batches.get(connection, wanted, tenant=at.tenant)
        failed = batches.failed_items(connection, wanted, tenant=at.tenant, limit=20)
        cost = batches.spent(connection, wanted, tenant=at.tenant)
    if as_json:
        values = _values(found) | asdict(cost) | {"failed_items": [asdict(item) for item in failed]}
        sys.stdout.write(json.dumps(values, ensure_ascii=False) + "\n")
        return
    sys.stdout.write(
        f"{found.id}  {found.name}, bot {found.bot}, queue {found.queue}, submitted by {found.created_by}\n{in_words(found)}\n"
    )
    spent = f"; {money(cost.cost)}" if cost.cost is not None or cost.tokens_in else ""
    sys.stdout.write(f"tokens: {cost.tokens_in} in ({cost.tokens_cached} cached), {cost.tokens_out} out{spent}\n")
    for item in failed:
        sys.stdout.write(f"line {item.n}, {item.custom_id}: {batch_results.reason_in_words(item.reason)}\n")
    if found.failed > len(failed):
        sys.stdout.write(f"... and {found.failed - len(failed)} more\n")


@app.command()
def pause(batch: _Id) -> None:
    """Begin no further item; what runs ends."""
    with _batch(batch) as (at, wanted, connection):
        batches.pause(connection, wanted, tenant=at.tenant, actor=_ACTOR)
    sys.stdout.write(f"{wanted}: paused\n")


@app.command()
def resume(batch: _Id) -> None:
    """Go on after a pause."""
    with _batch(batch) as (at, wanted, connection):
        batches.resume(connection, wanted, tenant=at.tenant, actor=_ACTOR)
    sys.stdout.write(f"{wanted}: running\n")


@app.command()
def cancel(batch: _Id) -> None:
    """End a batch for good; answers that are there stay."""
    with _batch(batch) as (at, wanted, connection):
        batches.cancel(connection, wanted, tenant=at.tenant, actor=_ACTOR)
    sys.stdout.write(f"{wanted}: cancelled\n")


@app.command()
def remove(batch: _Id) -> None:
    """Erase a batch that is over, with its questions and answers."""
    with ground() as at:
        with unit(at.engine) as connection:
            wanted = batches.find(connection, batch, tenant=at.tenant)
        items = batches.remove(at.engine, wanted, tenant=at.tenant, actor=_ACTOR)
    sys.stdout.write(f"{wanted}: removed, {items} items\n")


@app.command()
def retry(batch: _Id) -> None:
    """Ask again what failed."""
    with _batch(batch) as (at, wanted, connection):
        count = batches.retry_failed(connection, wanted, tenant=at.tenant, actor=_ACTOR)
    sys.stdout.write(f"{wanted}: {count} items are asked again\n")


@app.command()
def results(batch: _Id, out: _Out = None) -> None:
    """Print the answers as JSONL in the order of the file, or write them into a file."""
    with ground() as at:
        with unit(at.engine) as connection:
            wanted = batches.find(connection, batch, tenant=at.tenant)
        found = _get(at, wanted)
        if out is None:
            for line in _lines(at, wanted):
                sys.stdout.write(line)
        else:
            _write(at, wanted, out)
        if left := found.waiting + found.running:
            sys.stderr.write(f"{left} of {found.total} lines are not answered yet\n")


def _new(at: Ground, file: Path, *, bot: str, profile: str | None, key: str | None) -> NewBatch:
    if str(file) != "-" and not file.is_file():
        raise NotFound(f"{file} is no file.")
    with unit(at.engine) as connection:
        if personas.get(connection, tenant=at.tenant, name=bot) is None:
            raise NotFound(f"There is no bot named {bot}; `chinwag bot list` shows all.")
    name = "standard input" if str(file) == "-" else file.name
    return NewBatch(tenant=at.tenant, bot=bot, name=name[:200], profile=profile, key=key, actor=_ACTOR)


def _check(at: Ground, file: Path, new: NewBatch) -> Submitted:
    submission = Submission(at.engine, new, line_bytes=at.settings.batch_line_bytes)
    is_done = False
    try:
        with batch_progress.opened(file) as (source, size), batch_progress.checking(size) as tell:
            while not submission.refused and (piece := source.read(_PIECE)):
                submission.feed(piece)
                tell(len(piece), submission.bad_count)
        found = submission.finish()
        is_done = True
        return found
    except OSError as error:
        raise NotFound(f"{file} cannot be read: {error.strerror}") from error
    finally:
        if not is_done:
            submission.abandon()


def _complain(found: Submitted) -> None:
    for line in found.bad:
        sys.stderr.write(f"line {line.n}: {line.reason}\n" if line.n else f"{line.reason}\n")
    if found.bad_count > len(found.bad):
        sys.stderr.write(f"... and {found.bad_count - len(found.bad)} more\n")
    lines = "line is" if found.bad_count == 1 else "lines are"
    sys.stderr.write("Nothing was started.\n" if not found.bad[0].n else f"{found.bad_count} {lines} no good. Nothing was started.\n")


def _say_started(at: Ground, found: Submitted) -> None:
    assert found.batch is not None
    batch = _get(at, found.batch)
    word = "is there already under this key" if found.existing else "started"
    sys.stdout.write(f"{found.batch}: {found.total} lines, {word}\n")
    sys.stdout.flush()
    with unit(at.engine) as connection:
        if not batches.is_served(connection, batch.queue):
            sys.stderr.write(f"No worker takes the queue {batch.queue} now; the batch waits until one does.\n")


def _wait(at: Ground, batch: UUID, out: Path | None) -> None:
    try:
        found = batch_progress.follow(lambda: _get(at, batch))
    except KeyboardInterrupt:
        sys.stderr.write(f"\nThe batch goes on. Look: chinwag batch show {batch}; end it: chinwag batch cancel {batch}\n")
        raise typer.Exit(130) from None
    if out is not None:
        _write(at, batch, out)
    sys.stdout.write(f"{in_words(found)}\n")
    if found.failed or found.state == "cancelled":
        raise typer.Exit(1)


def _write(at: Ground, batch: UUID, out: Path) -> None:
    """Write the result: whole, or not at all."""
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(_lines(at, batch))
            file.flush()
            os.fsync(file.fileno())
        part.replace(out)
    except OSError as error:
        raise NotFound(f"{out} cannot be written: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)


def _lines(at: Ground, batch: UUID) -> Generator[str]:
    after = 0
    while True:
        with unit(at.engine) as connection:
            rows = batches.ended_after(connection, batch, tenant=at.tenant, after=after)
        if not rows:
            return
        after = rows[-1].n
        for row in rows:
            yield batch_results.line(batch, row)


def _values(batch: Batch) -> dict[str, Any]:
    return {name: value if isinstance(value, (int, float)) or value is None else str(value) for name, value in asdict(batch).items()}
