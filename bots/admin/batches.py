"""Batches: files of questions, submitted, watched, paused, cancelled, tried again, fetched and removed."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from bots.admin.acting import Operator
from bots.admin.audit import record
from bots.admin.deps import Deps
from bots.errors import Conflict
from bots.storage import batch_results, batches
from bots.storage.batch_intake import NewBatch, Submission, Submitted
from bots.storage.batches import Batch, FailedItem, Spent
from bots.storage.database import hot, unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """A batch with everything that its page shows."""

    batch: Batch
    #: The first items that failed.
    failed: list[FailedItem]
    spent: Spent
    #: Whether a running worker takes its items.
    is_served: bool


def newest(deps: Deps, operator: Operator, *, before: datetime | None = None, limit: int = 50) -> list[Batch]:
    """The newest batches, or those made before a time."""
    with hot(deps.web) as connection:
        return batches.newest(connection, tenant=operator.tenant_id, before=before, limit=limit)


def get(deps: Deps, operator: Operator, batch: UUID) -> Batch:
    """One batch: counts by state, rate, time left. Raises NotFound."""
    with hot(deps.web) as connection:
        return batches.get(connection, batch, tenant=operator.tenant_id)


def find(deps: Deps, operator: Operator, beginning: str) -> UUID:
    """The batch whose id begins with this. Raises NotFound, or Conflict when there are several."""
    with hot(deps.web) as connection:
        return batches.find(connection, beginning, tenant=operator.tenant_id)


def details(deps: Deps, operator: Operator, batch: UUID, *, limit: int = 100) -> Details:
    """One batch with what it has cost and the first items that failed. Raises NotFound."""
    tenant = operator.tenant_id
    with hot(deps.web) as connection:
        found = batches.get(connection, batch, tenant=tenant)
        return Details(
            batch=found,
            failed=batches.failed_items(connection, batch, tenant=tenant, limit=limit),
            spent=batches.spent(connection, batch, tenant=tenant),
            is_served=batches.is_served(connection, found.queue),
        )


def failed_items(deps: Deps, operator: Operator, batch: UUID, *, limit: int) -> list[FailedItem]:
    """The first items that failed, with their reasons. Raises NotFound."""
    with hot(deps.web) as connection:
        batches.get(connection, batch, tenant=operator.tenant_id)
        return batches.failed_items(connection, batch, tenant=operator.tenant_id, limit=limit)


def begin(
    deps: Deps, operator: Operator, *, bot: str, name: str = "batch", profile: str | None = None, key: str | None = None
) -> Submission:
    """Begin a batch whose file comes in pieces: feed it, then `finish` it, or abandon it. Raises NotFound, Conflict."""
    new = NewBatch(tenant=operator.tenant_id, bot=bot, name=name, profile=profile, key=key, actor=operator.name)
    return Submission(deps.web, new, line_bytes=deps.settings.batch_line_bytes)


def finish(deps: Deps, operator: Operator, submission: Submission) -> Submitted:
    """Start the batch when every line was good; otherwise remove it and say why. Raises Conflict when the key belongs to another file."""
    ended = submission.check()
    if ended is not None:
        return ended
    with unit(deps.web) as connection:
        started = submission.start(connection)
        new = submission.new
        record(connection, operator, "batch.submit", f"batch:{started.batch}", {"name": new.name, "bot": new.bot, "total": started.total})
    return started


def submit(
    deps: Deps,
    operator: Operator,
    pieces: Iterable[bytes],
    *,
    bot: str,
    name: str = "batch",
    profile: str | None = None,
    key: str | None = None,
    told: Callable[[int, int], None] | None = None,
) -> Submitted:
    """Check a file's pieces and start its batch; told is called with the size of each piece and how many lines were bad so far.

    Nothing of a file that breaks off is stored. Raises NotFound, Conflict.
    """
    submission = begin(deps, operator, bot=bot, name=name, profile=profile, key=key)
    is_done = False
    try:
        for piece in pieces:
            submission.feed(piece)
            if told is not None:
                told(len(piece), submission.bad_count)
            if submission.refused:
                break
        found = finish(deps, operator, submission)
        is_done = True
        return found
    finally:
        if not is_done:
            submission.abandon()


def pause(deps: Deps, operator: Operator, batch: UUID) -> None:
    """Start no further item; running ones finish. Raises NotFound, Conflict."""
    with unit(deps.web) as connection:
        if batches.pause(connection, batch, tenant=operator.tenant_id):
            record(connection, operator, "batch.pause", f"batch:{batch}")


def resume(deps: Deps, operator: Operator, batch: UUID) -> None:
    """Go on after a pause. Raises NotFound, Conflict."""
    with unit(deps.web) as connection:
        if batches.resume(connection, batch, tenant=operator.tenant_id):
            record(connection, operator, "batch.resume", f"batch:{batch}")


def cancel(deps: Deps, operator: Operator, batch: UUID) -> None:
    """End a batch for good: waiting items are cancelled, running ones dropped. Raises NotFound, Conflict."""
    with unit(deps.web) as connection:
        if batches.cancel(connection, batch, tenant=operator.tenant_id):
            record(connection, operator, "batch.cancel", f"batch:{batch}")


def retry(deps: Deps, operator: Operator, batch: UUID) -> int:
    """Ask the failed items again, and return how many there are. Raises NotFound, Conflict.

    Works in slices, as `remove` does: the first ones are asked again while the others still count as failed.
    """
    items = 0
    while True:
        with unit(deps.web) as connection:
            try:
                count = batches.retry_failed(connection, batch, tenant=operator.tenant_id)
            except Conflict:
                if not items:
                    raise
                # There were just as many as go at once.
                count = 0
            items += count
            if count < batches.RETRIED_AT_ONCE:
                record(connection, operator, "batch.retry", f"batch:{batch}", {"items": items})
                return items


def remove(deps: Deps, operator: Operator, batch: UUID) -> int:
    """Erase a batch that has ended, questions and answers, and return how many items there were. Raises NotFound, Conflict.

    Works in slices, each in its own transaction: a batch may have millions of items. After an interruption it can be called again.
    """
    items = 0
    while True:
        with unit(deps.web) as connection:
            erased = batches.remove_slice(connection, batch, tenant=operator.tenant_id)
            items += erased
            if not erased:
                record(connection, operator, "batch.remove", f"batch:{batch}", {"items": items})
                return items


def results(deps: Deps, operator: Operator, batch: UUID) -> Generator[str]:
    """The answers so far as JSONL, some lines at a time, in the order of the file."""
    after = 0
    while True:
        with hot(deps.web) as connection:
            rows = batches.ended_after(connection, batch, tenant=operator.tenant_id, after=after)
        if not rows:
            return
        after = rows[-1].n
        yield "".join(batch_results.line(batch, row) for row in rows)


def reason(item: FailedItem) -> str:
    """Why an item failed, in plain words."""
    return batch_results.reason_in_words(item.reason)
