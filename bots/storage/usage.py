"""Tokens and money: added up by day from what turns and items recorded, and read by day, bot, model, contact. Days are those of UTC.

Guarantee: the sums and the time up to which they are complete change in one transaction, so that each recorded call is added once.
The sums stay when a contact or an account is erased, since they name neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, text

from bots.storage.database import call

#: A call is added at least this long after its recorded time, at which its transaction began. That is one statement, which ends within 10 s or
#: is cancelled (workers.deps); the rest is for the commit itself.
_MARGIN_S = 15.0
#: The longest period that is added at once, so that each step stays short after an outage of days.
_MOST_S = 3600.0
#: A little more than twice the time between two checks by the dispatcher.
_HOLD_S = 30.0
_OF_SETTINGS = "the worker's own model"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """The sum of calls; tokens_in includes the cached ones."""

    calls: int = 0
    tokens_in: int = 0
    tokens_cached: int = 0
    tokens_out: int = 0
    #: In USD; calls to an endpoint without a price count as zero.
    cost: float = 0.0
    #: How many of the calls have tokens that were counted or estimated here, since the server did not count them.
    calls_estimated: int = 0


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
    """The most detailed sum that is stored."""

    day: date
    bot: str
    kind: str
    endpoint: str
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactSpent:
    """What one contact's answers have cost, in USD."""

    today: float
    month: float
    #: Whether any of this month's tokens were counted or estimated here, since the server did not count them.
    estimated: bool


def roll(engine: Engine, *, margin_s: float = _MARGIN_S) -> bool:
    """Add the calls of the next period, at most an hour, to the daily sums; True if there may be more to add. Needs the crossing role."""
    # Not repeated here: the next check does it.
    return bool(call(engine, "select roll_usage(%s, %s)", (margin_s, _MOST_S), repeat=False))


def hold_spent(engine: Engine) -> int:
    """Hold the batches of bots whose monthly budget is spent until the next check, and return how many it held. Needs crossing."""
    return call(engine, "select hold_spent_batches(%s)", (_HOLD_S,), repeat=False)


def month(connection: Connection, *, tenant: UUID, first: date) -> Month:
    """Read the month that begins on this day. Needs the crossing role."""
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
    """The months with recorded usage, newest first, and the current one."""
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
    """What this contact's answers have cost today and this month, by all bots. Read within the contact's scope."""
    row = connection.execute(
        text(
            "select coalesce(sum(cost) filter (where created_at >= date_trunc('day', now(), 'UTC')), 0) as today, coalesce(sum(cost), 0) as month,"
            " coalesce(bool_or(estimated), false) as estimated"
            " from model_calls where contact_id = :contact and created_at >= date_trunc('month', now(), 'UTC')"
        ),
        {"contact": contact},
    ).one()
    return ContactSpent(today=row.today, month=row.month, estimated=row.estimated)


def contact_day(engine: Engine, contact: UUID, *, bot: UUID) -> float:
    """What one bot's answers to a contact have cost today, in USD: one round trip."""
    return float(call(engine, "select spent_today(%s, %s)", (contact, bot)))


def bot_month(engine: Engine, *, tenant: UUID, bot: UUID) -> float:
    """What a bot has spent this month up to now, in USD: one round trip. Needs the crossing role."""
    return float(call(engine, "select spent_this_month(%s, %s)", (tenant, bot)))


def unpriced(connection: Connection, *, tenant: UUID, profile: str) -> list[str]:
    """The names of a profile's endpoints without a known price; for a profile without endpoints, the one in the settings, which has none."""
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
    coalesce(sum(d.cost), 0) as cost, coalesce(sum(d.calls_estimated), 0)::bigint as calls_estimated"""
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
    select d.day, coalesce(b.name, d.bot_id::text) as bot, d.kind, d.endpoint, d.model, d.calls, d.tokens_in, d.tokens_cached, d.tokens_out, d.cost,
        d.calls_estimated
    from usage_days d left join bots b on b.tenant_id = d.tenant_id and b.id = d.bot_id
    where {_MONTH} order by d.day, bot, d.kind, d.endpoint, d.model limit 100000"""  # noqa: S608 - our own words
