"""Tokens and money: added up by day from what turns and items recorded, and read by day, bot, model, contact. Days are those of UTC.

Guarantee: mark and sums change in one transaction, so that each recorded call is added once, however often somebody rolls.
What is added stays when a contact or an account is erased: it names none.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, text

from bots.storage.database import call

#: A call is added this long after its time at the soonest. Its transaction began then and is one statement, which ends or is ended within
#: 10 s (workers.deps); the rest is for the commit itself.
_MARGIN_S = 15.0
#: So much of the past is added at once: after a stop of days each step stays short.
_MOST_S = 3600.0
#: Twice the time between two looks of the dispatcher, and a little.
_HOLD_S = 30.0
_OF_SETTINGS = "the worker's own model"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """The sum of calls; tokens_in includes the cached ones."""

    calls: int = 0
    tokens_in: int = 0
    tokens_cached: int = 0
    tokens_out: int = 0
    #: In USD; calls of an endpoint without a price count as nothing.
    cost: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DaySum(Sum):
    """The usage of one day, by conversations or by batches."""

    day: date
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BotSum(Sum):
    """The usage of one bot; the name of a removed bot is no longer known."""

    bot: UUID
    name: str | None
    budget_month: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSum(Sum):
    """The usage of one model at one endpoint."""

    endpoint: str
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """The usage of a month. Calls after counted_until are not included yet."""

    first: date
    counted_until: datetime
    total: Sum
    days: tuple[DaySum, ...]
    bots: tuple[BotSum, ...]
    models: tuple[ModelSum, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line(Sum):
    """The finest sum that is kept."""

    day: date
    bot: str
    kind: str
    endpoint: str
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactSpent:
    """What one contact's answers cost, in USD."""

    today: float
    month: float


def roll(engine: Engine, *, margin_s: float = _MARGIN_S) -> bool:
    """Add an hour at most of what was called since the last time to the days' sums; True where there is more to add. Needs crossing."""
    # Not repeated by itself: the next look does.
    return bool(call(engine, "select roll_usage(%s, %s)", (margin_s, _MOST_S), repeat=False))


def hold_spent(engine: Engine) -> int:
    """Let batches of bots whose month is spent wait until the next look, and return how many began to. Needs crossing."""
    return call(engine, "select hold_spent_batches(%s)", (_HOLD_S,), repeat=False)


def month(connection: Connection, *, tenant: UUID, first: date) -> Month:
    """Read the month that begins at this day. Needs the crossing role."""
    values = {"tenant": tenant, "first": first}

    def rows(statement: str) -> list[dict[str, Any]]:
        return [dict(row) for row in connection.execute(text(statement), values).mappings()]

    (total,) = rows(f"select {_SUMS} from usage_days d where {_MONTH}")  # noqa: S608 - our own words
    return Month(
        first=first,
        counted_until=connection.execute(text("select min(at) from usage_until")).scalar_one(),
        total=Sum(**total),
        days=tuple(DaySum(**row) for row in rows(_BY_DAY)),
        bots=tuple(BotSum(**row) for row in rows(_BY_BOT)),
        models=tuple(ModelSum(**row) for row in rows(_BY_MODEL)),
    )


def months(connection: Connection, *, tenant: UUID) -> list[date]:
    """The months of which there is something, the newest first, and the one that is now."""
    rows = connection.execute(
        text(
            "select date_trunc('month', day)::date as first from usage_days where tenant_id = :tenant"
            " union select date_trunc('month', now() at time zone 'UTC')::date order by 1 desc limit 120"
        ),
        {"tenant": tenant},
    )
    return list(rows.scalars())


def lines(connection: Connection, *, tenant: UUID, first: date) -> list[Line]:
    """Read all sums of a month, for a file."""
    rows = connection.execute(text(_LINES), {"tenant": tenant, "first": first})
    return [Line(**row) for row in rows.mappings()]


def spent_by_all(connection: Connection, *, tenant: UUID) -> float:
    """What this month has cost so far in USD."""
    statement = (
        "select coalesce(sum(cost), 0) from usage_days where tenant_id = :tenant and day >= date_trunc('month', now() at time zone 'UTC')"
    )
    return float(connection.execute(text(statement), {"tenant": tenant}).scalar_one())


def of_contact(connection: Connection, contact: UUID) -> ContactSpent:
    """What this contact's answers cost today and this month, of all bots, within their rows."""
    row = connection.execute(
        text(
            "select coalesce(sum(cost) filter (where created_at >= date_trunc('day', now(), 'UTC')), 0) as today, coalesce(sum(cost), 0) as month"
            " from model_calls where contact_id = :contact and created_at >= date_trunc('month', now(), 'UTC')"
        ),
        {"contact": contact},
    ).one()
    return ContactSpent(today=row.today, month=row.month)


def contact_day(engine: Engine, contact: UUID, *, bot: UUID) -> float:
    """What one bot's answers to a contact cost today in USD: one round trip."""
    return float(call(engine, "select spent_today(%s, %s)", (contact, bot)))


def bot_month(engine: Engine, *, tenant: UUID, bot: UUID) -> float:
    """What a bot has spent this month in USD, up to this moment: one round trip. Needs the crossing role."""
    return float(call(engine, "select spent_this_month(%s, %s)", (tenant, bot)))


def unpriced(connection: Connection, *, tenant: UUID, profile: str) -> list[str]:
    """The endpoints of a profile whose price is not known, by name; that of the settings, which has none, where the profile has no others."""
    rows = connection.execute(
        text(
            "select distinct e.name, e.price_in is null or e.price_out is null as is_unpriced"
            " from profile_endpoints p join endpoints e on e.tenant_id = p.tenant_id and e.id = p.endpoint_id"
            " where p.tenant_id = :tenant and p.profile = :profile order by 1"
        ),
        {"tenant": tenant, "profile": profile},
    ).all()
    return [row.name for row in rows if row.is_unpriced] if rows else [_OF_SETTINGS]


_SUMS = """coalesce(sum(d.calls), 0)::bigint as calls, coalesce(sum(d.tokens_in), 0)::bigint as tokens_in,
    coalesce(sum(d.tokens_cached), 0)::bigint as tokens_cached, coalesce(sum(d.tokens_out), 0)::bigint as tokens_out,
    coalesce(sum(d.cost), 0) as cost"""
_MONTH = "d.tenant_id = :tenant and d.day >= cast(:first as date) and d.day < cast(:first as date) + interval '1 month'"
_BY_DAY = f"select d.day, d.kind, {_SUMS} from usage_days d where {_MONTH} group by d.day, d.kind order by d.day, d.kind"  # noqa: S608 - our own words
_BY_BOT = f"""
    select d.bot_id as bot, b.name, b.budget_month, {_SUMS}
    from usage_days d left join bots b on b.tenant_id = d.tenant_id and b.id = d.bot_id
    where {_MONTH} group by d.bot_id, b.name, b.budget_month order by cost desc, sum(d.tokens_in) desc, d.bot_id limit 500"""  # noqa: S608 - our own words
_BY_MODEL = f"""
    select d.endpoint, d.model, {_SUMS} from usage_days d
    where {_MONTH} group by d.endpoint, d.model order by cost desc, sum(d.tokens_in) desc, d.endpoint, d.model limit 500"""  # noqa: S608 - our own words
_LINES = f"""
    select d.day, coalesce(b.name, d.bot_id::text) as bot, d.kind, d.endpoint, d.model, d.calls, d.tokens_in, d.tokens_cached, d.tokens_out, d.cost
    from usage_days d left join bots b on b.tenant_id = d.tenant_id and b.id = d.bot_id
    where {_MONTH} order by d.day, bot, d.kind, d.endpoint, d.model limit 100000"""  # noqa: S608 - our own words
