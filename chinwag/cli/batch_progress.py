"""What `chinwag batch` shows while it works: a bar on a terminal, otherwise a plain line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from bots.errors import StorageUnavailable
from bots.storage.batches import Batch

_EVERY_S = 0.5
_PLAIN_EVERY_S = 10.0


@contextmanager
def opened(file: Path) -> Generator[tuple[IO[bytes], int | None]]:
    """A file's stream and its size; standard input for -."""
    if str(file) == "-":
        yield sys.stdin.buffer, None
        return
    with file.open("rb") as source:
        yield source, file.stat().st_size


@contextmanager
def checking(size: int | None) -> Generator[Callable[[int, int], None]]:
    """A bar that shows how much of a file is checked."""
    console = Console(stderr=True)
    columns = (TextColumn("Checking {task.fields[bad]}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=size or None, bad="")

        def tell(more: int, bad: int) -> None:
            bar.update(task, advance=more, bad=f"({bad} bad)" if bad else "")

        yield tell


def follow(get: Callable[[], Batch]) -> Batch:
    """Show a batch's progress until it has ended, and return its last state. Waits while Postgres is unavailable."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description:<9}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[detail]}"))
    told_at = time.monotonic()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("Answering", total=None, detail="")
        while True:
            try:
                batch = get()
            except StorageUnavailable:
                bar.update(task, detail="Postgres does not answer; the batch is safe there")
                time.sleep(_EVERY_S)
                continue
            if batch.state in {"done", "cancelled"}:
                return batch
            bar.update(task, total=batch.total, completed=batch.done + batch.failed, detail=_rate(batch), description=_state(batch))
            if not console.is_terminal and time.monotonic() - told_at >= _PLAIN_EVERY_S:
                told_at = time.monotonic()
                console.print(in_words(batch), highlight=False)
            time.sleep(_EVERY_S)


def in_words(batch: Batch) -> str:
    """A batch's progress in one line."""
    ended = batch.done + batch.failed
    told = f"{batch.state}: {ended} of {batch.total} answered" if batch.state != "checking" else "checking"
    if batch.failed:
        told = f"{batch.state}: {batch.done} of {batch.total} answered, {batch.failed} failed"
    if batch.cancelled:
        told += f", {batch.cancelled} cancelled"
    return f"{told}, {rate}" if batch.state == "running" and (rate := _rate(batch)) else told


def _state(batch: Batch) -> str:
    return "Paused" if batch.state == "paused" else "Answering"


def _rate(batch: Batch) -> str:
    if batch.hold_until is not None and batch.state == "running" and not batch.per_s:
        return "the model does not answer; trying again"
    if not batch.per_s or batch.seconds_left is None:
        return ""
    minutes, seconds = divmod(round(batch.seconds_left), 60)
    hours, minutes = divmod(minutes, 60)
    left = f"{hours} h {minutes:02} min" if hours else f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"
    return f"{batch.per_s:g} a second, {left} left"
