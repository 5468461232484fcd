"""The home page's numbers: counts, times and failures of the last hours or days. Needs the crossing role; has codes and counts, no texts.

Each statement reads one index on a time, at most eight days back.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, text

from bots.storage import turns

#: How many different codes are shown.
_MOST_CODES = 30


class Span(StrEnum):
    """The period: a day by hours, or a week by days."""

    DAY = "day"
    WEEK = "week"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """What happened in one hour or day (UTC)."""

    at: datetime
    messages: int = 0
    #: Turns that the bot answered, and turns that a person answered.
    answers: int = 0
    by_hand: int = 0
    #: Time to answer in the bot's turns.
    p50_s: float | None = None
    p95_s: float | None = None
    tokens_in: int = 0
    tokens_cached: int = 0
    tokens_out: int = 0
    #: How many calls have tokens that were counted or estimated here, since the server did not count them.
    calls_estimated: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """How often something failed: what (send, turn or model), and the code or name."""

    what: str
    code: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The numbers of one span. Time to answer: from the newest message that an answer covers until the answer is ready to send."""

    span: Span
    since: datetime
    until: datetime
    buckets: tuple[Bucket, ...]
    total: Bucket
    failures: tuple[Failure, ...]
    #: Conversations that have an unanswered message now, and how long the oldest has waited.
    waiting: int
    oldest_waiting_s: float


def read(connection: Connection, *, tenant: UUID, span: Span) -> Figures:
    """Read the numbers of a span that ends now."""
    now = connection.execute(text("select now()")).scalar_one().astimezone(UTC)
    step, steps = (timedelta(hours=1), 24) if span is Span.DAY else (timedelta(days=1), 7)
    newest = now.replace(minute=0, second=0, microsecond=0)
    newest = newest if span is Span.DAY else newest.replace(hour=0)
    since = newest - (steps - 1) * step
    values = {"tenant": tenant, "since": since, "step": step}
    found: dict[datetime | None, dict[str, Any]] = {None: {}}
    found.update({since + n * step: {} for n in range(steps)})
    failures: Counter[tuple[str, str]] = Counter()
    for row in connection.execute(_MESSAGES, values).mappings():
        _add(found, row, ("messages",))
    for row in connection.execute(_ANSWERS, values).mappings():
        numbers = found.get(None if row["bucket"] is None else row["bucket"].astimezone(UTC))
        if numbers is not None:
            numbers.update({name: row[name] for name in ("answers", "by_hand", "p50_s", "p95_s")})
    for row in connection.execute(_CALLS, values).mappings():
        _add(found, row, ("tokens_in", "tokens_cached", "tokens_out", "calls_estimated"))
        if row["outcome"] not in turns.WELL:
            failures["model", row["outcome"]] += row["calls"]
    for row in connection.execute(_FAILED, values):
        failures[row.what, row.code] += int(row[2])
    waiting = connection.execute(_WAITING, {"tenant": tenant}).one()
    ranked = sorted(failures.items(), key=lambda pair: (-pair[1], pair[0]))[:_MOST_CODES]
    return Figures(
        span=span,
        since=since,
        until=now,
        buckets=tuple(Bucket(at=at, **numbers) for at, numbers in found.items() if at is not None),
        total=Bucket(at=since, **found[None]),
        failures=tuple(Failure(what=what, code=code, count=count) for (what, code), count in ranked),
        waiting=waiting.waiting,
        oldest_waiting_s=float(waiting.oldest_s),
    )


def _add(found: dict[datetime | None, dict[str, Any]], row: RowMapping, names: tuple[str, ...]) -> None:
    """Add a row's counts to its bucket and to the whole span."""
    for numbers in (found.get(row["bucket"].astimezone(UTC)), found[None]):
        if numbers is not None:
            numbers.update({name: numbers.get(name, 0) + row[name] for name in names})


# date_bin counts from the span's beginning, which gives whole UTC hours and days by plain arithmetic.
_MESSAGES = text("""
    select date_bin(:step, received_at, :since) as bucket, count(*) as messages
    from inbox where received_at >= :since and tenant_id = :tenant and kind = 'message' group by 1""")
# The newest message of each turn. Messages up to a day before the span count too, for turns that waited that long.
_ANSWERS = text("""
    with newest as (
        select turn_id, max(received_at) as at from inbox
        where received_at >= cast(:since as timestamptz) - interval '1 day' and tenant_id = :tenant and kind = 'message' and turn_id is not null
        group by turn_id
    ), answered as (
        select date_bin(:step, t.finished_at, :since) as bucket, t.answered_by is null as is_bot,
            case when t.answered_by is null then (extract(epoch from t.finished_at - n.at))::double precision end as took
        from turns t left join newest n on n.turn_id = t.id
        where t.finished_at >= :since and t.tenant_id = :tenant and t.state = 'answered'
    )
    select bucket, count(*) filter (where is_bot) as answers, count(*) filter (where not is_bot) as by_hand,
        percentile_cont(0.5) within group (order by took) as p50_s, percentile_cont(0.95) within group (order by took) as p95_s
    from answered group by grouping sets ((1), ())""")
_CALLS = text("""
    select date_bin(:step, created_at, :since) as bucket, outcome, count(*) as calls, coalesce(sum(tokens_in), 0) as tokens_in,
        coalesce(sum(tokens_cached), 0) as tokens_cached, coalesce(sum(tokens_out), 0) as tokens_out,
        count(*) filter (where estimated) as calls_estimated
    from model_calls where created_at >= :since and tenant_id = :tenant group by 1, 2""")
# By the turn's end, which has an index; a message's status has none, so that changing it stays cheap.
_FAILED = text("""
    select 'send' as what, case when o.status = 'unknown' then 'unknown' else regexp_replace(coalesce(o.reason, '?'), '^(code|platform):', '') end as code,
        count(*) as count
    from outbox o join turns t on t.id = o.turn_id and t.tenant_id = o.tenant_id
    where t.finished_at >= :since and o.tenant_id = :tenant and coalesce(o.reason, '') not in ('taken_over', 'unsent')
        and (o.status = 'failed' or (o.status = 'unknown' and o.not_before is null))
    group by 1, 2
    union all
    select 'turn', regexp_replace(coalesce(t.reason, '?'), '^((dismissed|replayed):)*(error:)?', ''), count(*)
    from turns t
    where t.finished_at >= :since and t.tenant_id = :tenant
        and (t.state = 'dead' or (t.state = 'skipped' and (t.reason like 'dismissed:%' or t.reason like 'replayed:%')))
    group by 1, 2""")
_WAITING = text("""
    select count(distinct conversation_id) as waiting, coalesce(extract(epoch from now() - min(received_at)), 0) as oldest_s from (
        select i.conversation_id, i.received_at from inbox i
        where i.turn_id is null and i.kind = 'message' and i.conversation_id is not null and i.tenant_id = :tenant
        union all
        select i.conversation_id, i.received_at from turns t join inbox i on i.turn_id = t.id where t.state = 'open' and t.tenant_id = :tenant
    ) unanswered""")
