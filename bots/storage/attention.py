"""What an operator should know: accounts, parts at work, and everything dead, unknown or quarantined. Ids and reasons, no words.

All reads need the crossing role.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountLine:
    """An account and its state."""

    channel: str
    name: str
    external_id: str
    bot: str
    state: str
    state_reason: str | None
    has_secret: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """The last sign of life of a worker process."""

    name: str
    queues: tuple[str, ...]
    slots: int
    busy: int
    age_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """One thing that wants attention."""

    id: UUID
    account: str
    reason: str | None
    at: datetime
    #: The turn's or message's number or status; empty for a webhook.
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelWord:
    """What the last call of the model came to."""

    model: str
    outcome: str
    age_s: float
    total_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """How much is waiting."""

    due: int
    running: int
    oldest_due_s: float
    unsent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Everything the admin page shows."""

    accounts: tuple[AccountLine, ...]
    heartbeats: tuple[Heartbeat, ...]
    model: ModelWord | None
    work: Work
    dead: tuple[Trouble, ...]
    unknown: tuple[Trouble, ...]
    failed: tuple[Trouble, ...]
    quarantined: tuple[Trouble, ...]


def overview(connection: Connection) -> Overview:
    """Read what the admin page shows; each list holds its newest 50."""
    rows = {name: connection.execute(statement).all() for name, statement in _STATEMENTS.items()}
    work = rows["work"][0]
    model = rows["model"][0] if rows["model"] else None

    def troubles(name: str) -> tuple[Trouble, ...]:
        return tuple(Trouble(id=r.id, account=r.account, reason=r.reason, at=r.at, detail=r.detail) for r in rows[name])

    return Overview(
        accounts=tuple(
            AccountLine(
                channel=r.channel,
                name=r.name,
                external_id=r.external_id,
                bot=r.bot,
                state=r.state,
                state_reason=r.state_reason,
                has_secret=r.has_secret,
            )
            for r in rows["accounts"]
        ),
        heartbeats=tuple(
            Heartbeat(name=r.name, queues=tuple(r.queues), slots=r.slots, busy=r.busy, age_s=float(r.age_s)) for r in rows["heartbeats"]
        ),
        model=None
        if model is None
        else ModelWord(model=model.model, outcome=model.outcome, age_s=float(model.age_s), total_ms=model.total_ms),
        work=Work(due=work.due, running=work.running, oldest_due_s=float(work.oldest_due_s), unsent=work.unsent),
        dead=troubles("dead"),
        unknown=troubles("unknown"),
        failed=troubles("failed"),
        quarantined=troubles("quarantined"),
    )


def is_up(connection: Connection) -> None:
    """Ask Postgres for one sign of life."""
    connection.execute(text("select 1"))


_SENDS = """
    select o.id, a.name as account, o.reason, o.attention_at as at, o.sends || ' sends' as detail
    from outbox o join accounts a on a.tenant_id = o.tenant_id and a.id = o.account_id
    where o.attention_at is not null and o.status = :status order by o.attention_at desc limit 50"""
_STATEMENTS = {
    "accounts": text("""
        select a.channel, a.name, a.external_id, b.name as bot, a.state, a.state_reason, a.app_secret is not null as has_secret
        from accounts a join bots b on b.tenant_id = a.tenant_id and b.id = a.bot_id order by a.channel, a.name limit 200"""),
    "heartbeats": text("""
        select name, queues, slots, busy, extract(epoch from now() - at) as age_s
        from worker_heartbeats where at > now() - interval '1 h' order by name limit 200"""),
    "model": text("""
        select model, outcome, extract(epoch from now() - created_at) as age_s, total_ms
        from model_calls order by created_at desc limit 1"""),
    "work": text("""
        select count(*) filter (where ready_at is not null and ready_at <= now() and leased_by is null) as due,
               count(*) filter (where leased_until > now()) as running,
               coalesce(extract(epoch from now() - min(ready_at) filter (where ready_at <= now() and leased_by is null)), 0) as oldest_due_s,
               (select count(*) from outbox where not_before is not null) as unsent
        from conversations where ready_at is not null or leased_by is not null"""),
    "dead": text("""
        select t.id, a.name as account, t.reason, t.finished_at as at, 'turn ' || t.number || ', ' || t.tries || ' tries' as detail
        from turns t join conversations c on c.tenant_id = t.tenant_id and c.id = t.conversation_id
        join accounts a on a.tenant_id = c.tenant_id and a.id = c.account_id
        where t.state = 'dead' and t.finished_at is not null order by t.finished_at desc limit 50"""),
    "unknown": text(_SENDS).bindparams(status="unknown"),
    "failed": text(_SENDS).bindparams(status="failed"),
    "quarantined": text("""
        select e.id, a.name as account, e.reason, e.received_at as at, coalesce(octet_length(e.body), 0) || ' bytes' as detail
        from envelopes e join accounts a on a.tenant_id = e.tenant_id and a.id = e.account_id
        where e.state = 'quarantined' order by e.received_at desc limit 50"""),
}
