"""How accounts, workers, model and queues are: what the home page and the health check ask. It needs the crossing role."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """The last heartbeat of a worker process."""

    name: str
    queues: tuple[str, ...]
    slots: int
    busy: int
    age_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelWord:
    """The outcome of the last model call."""

    model: str
    outcome: str
    total_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """How much is waiting."""

    due: int
    running: int
    oldest_due_s: float
    unsent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountCounts:
    """How many accounts there are, how many wait for an operator, and how many the platform slows down."""

    found: int
    parked: int
    slowed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """How accounts, workers, model and queues are."""

    accounts: AccountCounts
    heartbeats: tuple[Heartbeat, ...]
    model: ModelWord | None
    work: Work


def read(connection: Connection, *, tenant: UUID) -> Overview:
    """Read what the home page shows of workers, model and queues. Workers are shared by all tenants."""
    rows = {
        name: connection.execute(statement, {"tenant": tenant} if ":tenant" in statement.text else {}).all()
        for name, statement in _STATEMENTS.items()
    }
    work, accounts = rows["work"][0], rows["accounts"][0]
    model = rows["model"][0] if rows["model"] else None
    return Overview(
        accounts=AccountCounts(found=accounts.found, parked=accounts.parked, slowed=accounts.slowed),
        heartbeats=tuple(
            Heartbeat(name=r.name, queues=tuple(r.queues), slots=r.slots, busy=r.busy, age_s=float(r.age_s)) for r in rows["heartbeats"]
        ),
        model=None if model is None else ModelWord(model=model.model, outcome=model.outcome, total_ms=model.total_ms),
        work=Work(due=work.due, running=work.running, oldest_due_s=float(work.oldest_due_s), unsent=work.unsent),
    )


def is_up(connection: Connection) -> None:
    """Check that Postgres answers."""
    connection.execute(text("select 1"))


_STATEMENTS = {
    # Without trial accounts.
    "accounts": text("""
        select count(*) as found, count(*) filter (where state = 'needs_attention') as parked,
            count(*) filter (where state = 'active' and slow_until > now()) as slowed
        from accounts where tenant_id = :tenant and persona_version is null"""),
    "heartbeats": text("""
        select name, queues, slots, busy, extract(epoch from now() - at) as age_s
        from worker_heartbeats where at > now() - interval '1 h' order by name limit 200"""),
    "model": text("""
        select model, outcome, total_ms
        from model_calls where tenant_id = :tenant order by created_at desc limit 1"""),
    # Each half through its own partial index: with both in one condition every conversation would be read.
    "work": text("""
        select count(*) filter (where ready_at <= now() and (leased_until is null or leased_until <= now())) as due,
               count(*) filter (where leased_until > now()) as running,
               coalesce(extract(epoch from now() - min(ready_at) filter (where ready_at <= now() and (leased_until is null or leased_until <= now()))), 0) as oldest_due_s,
               (select count(*) from outbox where not_before is not null and tenant_id = :tenant) as unsent
        from (select id, ready_at, leased_until from conversations where tenant_id = :tenant and ready_at is not null
            union select id, ready_at, leased_until from conversations where tenant_id = :tenant and leased_by is not null) x"""),
}
