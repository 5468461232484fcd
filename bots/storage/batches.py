"""Batches as an operator sees them: the list, their progress, and what can be done with them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from bots.errors import Conflict, NotFound

#: The period over which the rate is measured, in seconds.
_RATE_S = 30
_REMOVED_AT_ONCE = 2000
RETRIED_AT_ONCE = 2000
_DIGITS = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A file of questions, and its progress."""

    id: UUID
    name: str
    bot: str
    queue: str
    state: str
    total: int
    created_by: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    #: While the model is unavailable: when the batch goes on.
    hold_until: datetime | None
    waiting: int
    running: int
    done: int
    failed: int
    cancelled: int
    #: Items that ended per second, over the last half minute.
    per_s: float
    seconds_left: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What a batch has cost so far."""

    tokens_in: int
    tokens_cached: int
    tokens_out: int
    #: In USD; None where no answer had a price.
    cost: float | None
    #: Whether any of these tokens were counted or estimated here, since the server did not count them.
    estimated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedItem:
    """An item that has no answer, and why."""

    n: int
    custom_id: str
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the result, before it is formatted."""

    n: int
    custom_id: str
    #: Whether the line came as an OpenAI request.
    is_request: bool
    state: str
    answer: str | None
    reason: str | None
    model: str | None
    tokens_in: int | None
    tokens_cached: int | None
    tokens_out: int | None
    estimated: bool
    finished_at: datetime | None


_BATCHES = """
select b.id, b.name, x.name as bot, b.queue, b.state, b.total, b.created_by, b.created_at, b.started_at, b.finished_at, b.hold_until,
    c.waiting, c.running, c.done, c.failed, c.cancelled,
    coalesce(r.n / greatest(1, least(:rate_s, extract(epoch from now() - b.started_at))), 0) as per_s
from BATCHES b join bots x on x.tenant_id = b.tenant_id and x.id = b.bot_id
cross join lateral (
    select case when b.state = 'cancelled' then 0 else coalesce(sum(k.n) filter (where k.state = 'waiting'), 0) end as waiting,
        case when b.state = 'cancelled' then 0 else coalesce(sum(k.n) filter (where k.state = 'running'), 0) end as running,
        coalesce(sum(k.n) filter (where k.state = 'done'), 0) as done,
        coalesce(sum(k.n) filter (where k.state = 'failed'), 0) as failed,
        coalesce(sum(k.n) filter (where k.state = 'cancelled' or (b.state = 'cancelled' and k.state in ('waiting', 'running'))), 0) as cancelled
    from (select x.state, sum(x.n) as n from batch_counts x where x.batch_id = b.id group by x.state) as k
) as c
cross join lateral (
    select count(*) as n from batch_items i
    where i.batch_id = b.id and b.state in ('running', 'paused') and i.finished_at > now() - make_interval(secs => :rate_s)
) as r
where b.tenant_id = :tenant
"""
#: The newest: found first, before anything is counted for each.
_NEWEST = """(select * from batches where tenant_id = :tenant and created_at < coalesce(cast(:before as timestamptz), 'infinity')
    order by created_at desc, id limit :limit)"""


def newest(connection: Connection, *, tenant: UUID, before: datetime | None = None, limit: int = 50) -> list[Batch]:
    """The newest batches, or those made before a given time."""
    rows = connection.execute(
        text(_BATCHES.replace("BATCHES", _NEWEST) + " order by b.created_at desc, b.id"),
        {"tenant": tenant, "before": before, "limit": limit, "rate_s": _RATE_S},
    )
    return [_batch(dict(row)) for row in rows.mappings()]


def get(connection: Connection, batch: UUID, *, tenant: UUID) -> Batch:
    """Find a batch. Raises NotFound."""
    rows = connection.execute(
        text(_BATCHES.replace("BATCHES", "batches") + " and b.id = :batch"), {"tenant": tenant, "batch": batch, "rate_s": _RATE_S}
    )
    row = rows.mappings().one_or_none()
    if row is None:
        raise NotFound("There is no such batch.")
    return _batch(dict(row))


def find(connection: Connection, beginning: str, *, tenant: UUID) -> UUID:
    """The batch whose id begins with this. Raises NotFound, or Conflict when there are several."""
    digits = beginning.lower().replace("-", "")
    found: list[UUID] = []
    if digits and len(digits) <= 32 and set(digits) <= _DIGITS:
        between = {"least": UUID(digits.ljust(32, "0")), "most": UUID(digits.ljust(32, "f"))}
        rows = connection.execute(
            text(
                "select id from batches where id between :least and :most and tenant_id = :tenant and starts_with(id::text, :beginning) limit 2"
            ),
            {"tenant": tenant, "beginning": beginning.lower(), **between},
        )
        found = list(rows.scalars())
    if not found:
        raise NotFound(f"There is no batch {beginning}; `chinwag batch list` shows all.")
    if len(found) > 1:
        raise Conflict(f"Several batch ids begin with {beginning}: enter more of the id.")
    return found[0]


def spent(connection: Connection, batch: UUID, *, tenant: UUID) -> Spent:
    """Add up a batch's tokens and cost."""
    row = connection.execute(
        text(
            "select coalesce(sum(tokens_in), 0)::bigint, coalesce(sum(tokens_cached), 0)::bigint, coalesce(sum(tokens_out), 0)::bigint,"
            " case when sum(priced) > 0 then sum(cost) end, coalesce(sum(estimated) > 0, false) from batch_counts"
            " where tenant_id = :tenant and batch_id = :batch"
        ),
        {"tenant": tenant, "batch": batch},
    ).one()
    return Spent(tokens_in=row[0], tokens_cached=row[1], tokens_out=row[2], cost=row[3], estimated=row[4])


def failed_items(connection: Connection, batch: UUID, *, tenant: UUID, limit: int = 100) -> list[FailedItem]:
    """The first items that failed."""
    rows = connection.execute(
        text(
            "select n, custom_id, reason from batch_items where tenant_id = :tenant and batch_id = :batch and state = 'failed'"
            " order by n limit :limit"
        ),
        {"tenant": tenant, "batch": batch, "limit": limit},
    )
    return [FailedItem(**row) for row in rows.mappings()]


def is_served(connection: Connection, queue: str) -> bool:
    """Whether a running worker takes items from this queue."""
    asked = "select exists (select from worker_heartbeats where at > now() - interval '15 seconds' and :queue = any(queues))"
    return bool(connection.execute(text(asked), {"queue": queue}).scalar())


def ended_after(connection: Connection, batch: UUID, *, tenant: UUID, after: int, limit: int = 200) -> list[Row]:
    """The next page of items that ended, in the order of the file; all items of a cancelled batch count as ended."""
    rows = connection.execute(_ENDED, {"tenant": tenant, "batch": batch, "after": after, "limit": limit})
    return [Row(**row) for row in rows.mappings()]


def pause(connection: Connection, batch: UUID, *, tenant: UUID) -> bool:
    """Start no further items; running ones finish. False: it is paused already. Raises NotFound, Conflict."""
    return _change(connection, batch, tenant=tenant, to="paused", since=("running",))


def resume(connection: Connection, batch: UUID, *, tenant: UUID) -> bool:
    """Continue after a pause. False: it is running already. Raises NotFound, Conflict."""
    return _change(connection, batch, tenant=tenant, to="running", since=("paused",))


def cancel(connection: Connection, batch: UUID, *, tenant: UUID) -> bool:
    """End a batch for good: waiting items are cancelled, answers of running ones dropped. False: it is cancelled already. Raises NotFound, Conflict."""
    return _change(connection, batch, tenant=tenant, to="cancelled", since=("running", "paused"))


def remove_slice(connection: Connection, batch: UUID, *, tenant: UUID) -> int:
    """Erase some items of a batch that has ended, or the batch itself once it has none; returns how many items. Raises NotFound, Conflict."""
    state = _locked(connection, batch, tenant=tenant)
    if state not in {"done", "cancelled"}:
        raise Conflict(f"A batch that is {state} cannot be removed: cancel it first.")
    items = clear_slice(connection, batch, tenant=tenant)
    if not items:
        connection.execute(text("delete from batches where tenant_id = :tenant and id = :batch"), {"tenant": tenant, "batch": batch})
    return items


def clear_slice(connection: Connection, batch: UUID, *, tenant: UUID) -> int:
    """Erase some items of a batch and return how many. Not all at once: a batch may have millions, and a statement has two seconds."""
    return connection.execute(
        text(
            "delete from batch_items where tenant_id = :tenant and batch_id = :batch and n in"
            " (select n from batch_items where tenant_id = :tenant and batch_id = :batch order by n limit :limit)"
        ),
        {"tenant": tenant, "batch": batch, "limit": _REMOVED_AT_ONCE},
    ).rowcount


def retry_failed(connection: Connection, batch: UUID, *, tenant: UUID) -> int:
    """Try failed items again, at most RETRIED_AT_ONCE, and return how many: where it is as many there may be more. Raises NotFound, Conflict."""
    state = _locked(connection, batch, tenant=tenant)
    if state not in {"running", "paused", "done"}:
        raise Conflict(f"A batch that is {state} cannot be tried again.")
    count = connection.execute(
        text(
            # What they have cost so far was counted when they failed.
            "update batch_items set state = 'waiting', ready_at = now(), tries = 0, reason = null, finished_at = null, token = token + 1,"
            " tokens_in = null, tokens_cached = null, tokens_out = null, cost = null, estimated = false"
            " where tenant_id = :tenant and batch_id = :batch and n in (select n from batch_items"
            " where tenant_id = :tenant and batch_id = :batch and state = 'failed' order by n limit :limit)"
        ),
        {"tenant": tenant, "batch": batch, "limit": RETRIED_AT_ONCE},
    ).rowcount
    if not count:
        raise Conflict("No item of this batch has failed.")
    connection.execute(
        text(
            "update batches set state = case when state = 'done' then 'running' else state end, finished_at = null"
            " where tenant_id = :tenant and id = :batch"
        ),
        {"tenant": tenant, "batch": batch},
    )
    return count


def _change(connection: Connection, batch: UUID, *, tenant: UUID, to: str, since: tuple[str, ...]) -> bool:
    state = _locked(connection, batch, tenant=tenant)
    if state == to:
        return False
    if state not in since:
        raise Conflict(f"A batch that is {state} cannot be {to if to != 'running' else 'resumed'}.")
    connection.execute(
        text(
            "update batches set state = :to, hold_until = null, finished_at = case when :to = 'cancelled' then now() end"
            " where tenant_id = :tenant and id = :batch"
        ),
        {"tenant": tenant, "batch": batch, "to": to},
    )
    return True


def _locked(connection: Connection, batch: UUID, *, tenant: UUID) -> str:
    state = connection.execute(
        text("select state from batches where tenant_id = :tenant and id = :batch for update"), {"tenant": tenant, "batch": batch}
    ).scalar()
    if state is None:
        raise NotFound("There is no such batch.")
    return state


def _batch(row: dict[str, object]) -> Batch:
    per_s = float(str(row["per_s"]))
    open_items = int(str(row["waiting"])) + int(str(row["running"]))
    left = open_items / per_s if row["state"] == "running" and per_s > 0 else None
    values = row | {name: int(str(row[name])) for name in ("waiting", "running", "done", "failed", "cancelled")}
    return Batch(**(values | {"per_s": round(per_s, 2), "seconds_left": None if left is None else round(left, 1)}))  # pyright: ignore[reportArgumentType] - columns named as the fields


# The first ones of each state, so that a page does not read all that waits between two that ended.
_ENDED = text("""
    select i.n, i.custom_id, i.request ? 'messages' as is_request, i.answer, i.reason, i.model, i.tokens_in, i.tokens_cached,
        i.tokens_out, i.estimated, i.finished_at, case when i.state in ('waiting', 'running') then 'cancelled' else i.state end as state
    from batches b cross join unnest(case when b.state = 'cancelled' then array['done', 'failed', 'cancelled', 'waiting', 'running']
        else array['done', 'failed', 'cancelled'] end) as ended(state)
    cross join lateral (select * from batch_items x where x.tenant_id = b.tenant_id and x.batch_id = b.id and x.state = ended.state and x.n > :after
        order by x.n limit :limit) i
    where b.tenant_id = :tenant and b.id = :batch and b.state <> 'checking' order by i.n limit :limit""")
