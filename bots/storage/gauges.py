"""Current totals, for monitoring and alerts. Needs the crossing role; every count reads a partial index."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, text

from bots.storage.attention import REFUSED, SEEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauges:
    """The totals at one moment."""

    due: int
    oldest_due_s: float
    running: int
    unsent: int
    taken_over: int
    workers: int
    slots: int
    busy: int
    #: Problems that need an operator, by kind.
    attention: Mapping[str, int]
    #: Accounts and apps whose sends are limited, by why.
    limited: Mapping[str, int]
    #: Waiting and running items of batches that have not ended.
    batch_items: Mapping[str, int]


def read(connection: Connection) -> Gauges:
    """Count everything, in three round trips."""
    work = connection.execute(_WORK).one()
    attention = connection.execute(_ATTENTION).one()
    items = connection.execute(_BATCH_ITEMS).all()
    return Gauges(
        due=work.due,
        oldest_due_s=max(0.0, float(work.oldest_due_s)),
        running=work.running,
        unsent=work.unsent,
        taken_over=work.taken_over,
        workers=work.workers,
        slots=work.slots,
        busy=work.busy,
        attention={
            kind: getattr(attention, kind)
            for kind in ("quarantined", "unknown", "failed", "dead", "account", "budget", "notice", "identity", "model")
        },
        limited={state: getattr(attention, f"limit_{state}") for state in ("outage", "probing", "throttled", "rising")},
        batch_items=dict.fromkeys(("waiting", "running"), 0) | {row.state: row.items for row in items},
    )


#: A leased conversation is due again when its lease ends: one that a running worker holds is not due.
_WORK = text("""
    select count(*) filter (where c.ready_at <= now() and (c.leased_until is null or c.leased_until <= now())) as due,
        coalesce(extract(epoch from now() - min(coalesce(c.waiting_since, c.ready_at))
            filter (where c.ready_at <= now() and (c.leased_until is null or c.leased_until <= now()))), 0) as oldest_due_s,
        (select count(*) from conversations where leased_by is not null and leased_until > now()) as running,
        (select count(*) from outbox where not_before is not null) as unsent,
        (select count(*) from conversations where taken_by is not null) as taken_over,
        (select count(*) from worker_heartbeats where at > now() - interval '1 minute' and slots > 0) as workers,
        (select coalesce(sum(slots), 0) from worker_heartbeats where at > now() - interval '1 minute') as slots,
        (select coalesce(sum(busy), 0) from worker_heartbeats where at > now() - interval '1 minute') as busy
    from conversations c where c.ready_at is not null and c.ready_at <= now() and c.closed_at is null and c.taken_by is null
        and c.account_id not in (select id from accounts where state = 'paused')""")
_ATTENTION = text(
    """
    select (select count(*) from envelopes where state = 'quarantined') as quarantined,
        (select count(*) from outbox where attention_at is not null and status = 'unknown') as unknown,
        (select count(*) from outbox where attention_at is not null and status = 'failed') as failed,
        (select count(*) from turns where state = 'dead') as dead,
        (select count(*) from accounts where state = 'needs_attention' or (state = 'active' and slow_until > now())) as account,
        (select count(*) from account_notices where attention_at is not null) as notice,
        (select count(*) from model_refusals where attention_at is not null) as model,
        (select count(*) from send_limits where state = 'outage') as limit_outage,
        (select count(*) from send_limits where state = 'probing') as limit_probing,
        (select count(*) from send_limits where state = 'throttled' and scope <> 'person') as limit_throttled,
        (select count(*) from send_limits where state = 'rising' and scope <> 'person') as limit_rising,
        (select count(*) from identity_cases where state = 'open') as identity,
        (select count(*) from (
            select b.id from tenants z cross join lateral (REFUSED) t
                join conversations c on c.tenant_id = t.tenant_id and c.id = t.conversation_id join accounts a on a.tenant_id = c.tenant_id and a.id = c.account_id
                join bots b on b.tenant_id = a.tenant_id and b.id = a.bot_id
            group by b.id, b.tenant_id having not SEEN) x) as budget""".replace(
        "REFUSED", REFUSED.replace(":tenant", "z.tenant_id")
    ).replace("SEEN", SEEN)
)
_BATCH_ITEMS = text("""
    select k.state, sum(k.n)::bigint as items from batches b join batch_counts k on k.tenant_id = b.tenant_id and k.batch_id = b.id
    where b.state in ('running', 'paused') and k.state in ('waiting', 'running') group by k.state""")
