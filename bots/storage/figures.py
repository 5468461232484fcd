"""The home page's numbers: counts, times and failures of the last hours or days. Needs the crossing role; has codes and counts, no texts.

They are counted as they happen (count_figures in sql/figures.sql): reading them costs the same however much has happened. What is not counted yet,
that of some seconds, is counted when they are read; of failed messages it shows after a minute.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Connection, Engine, RowMapping, text

from bots.storage import turns
from bots.storage.database import call

#: How many different codes are shown.
_MOST_CODES = 30
#: As of usage: what is younger may not be visible yet.
_MARGIN_S = 15.0
#: The longest period that is counted at once.
_MOST_S = 900.0
#: The bins of bin_of in sql/figures.sql: where the first begins, and how much longer each is than the one before.
_FIRST_S, _WIDER = 0.05, 1.04
_SINCE = "greatest((select at from figures_until), cast(:since as timestamptz) - interval '1 microsecond')"
_COUNTS = ("messages", "answers", "by_hand", "tokens_in", "tokens_cached", "tokens_out", "calls_estimated")


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
    #: Time to answer in the bot's turns, within 2 %.
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
    buckets = [_Sums(since + n * step) for n in range(steps)]
    total, places = _Sums(since), {bucket.at: bucket for bucket in buckets}
    failures: Counter[tuple[str, str]] = Counter()
    values = {"tenant": tenant, "since": since}
    for row in connection.execute(_COUNTED, values | {"step": "hour" if span is Span.DAY else "day"}).mappings():
        at = row["at"].astimezone(UTC)
        place = places.get(at if span is Span.DAY else at.replace(hour=0))
        if place is not None:
            place.add(row)
            total.add(row)
    for row in connection.execute(_FAILED, values):
        if row.what != "model" or row.code not in turns.WELL:
            failures[row.what, row.code] += int(row.n)
    waiting = connection.execute(_WAITING, {"tenant": tenant}).one()
    ranked = sorted(failures.items(), key=lambda pair: (-pair[1], pair[0]))[:_MOST_CODES]
    return Figures(
        span=span,
        since=since,
        until=now,
        buckets=tuple(bucket.made() for bucket in buckets),
        total=total.made(),
        failures=tuple(Failure(what=what, code=code, count=count) for (what, code), count in ranked),
        waiting=waiting.waiting,
        oldest_waiting_s=float(waiting.oldest_s),
    )


def count(engine: Engine) -> bool:
    """Count what has happened since the last time, at most a quarter of an hour; True if there may be more to count. Needs the crossing role."""
    # Not repeated here: the next check does it.
    return bool(call(engine, "select count_figures(%s, %s)", (_MARGIN_S, _MOST_S), repeat=False))


def within(took: Sequence[int], share: float) -> float | None:
    """The time within which this share of the answers came, between two of them where it falls so; None where there was none."""
    answers = sum(took)
    if not answers:
        return None
    place = share * (answers - 1)
    before = _nth(took, int(place))
    return before + (place - int(place)) * (_nth(took, min(int(place) + 1, answers - 1)) - before)


def _nth(took: Sequence[int], n: int) -> float:
    """The middle of the bin of the n-th shortest time."""
    for place, count in enumerate(took):
        n -= count
        if n < 0:
            return _FIRST_S * _WIDER ** (place + 0.5)
    raise AssertionError("there are not so many")


class _Sums:
    """What is added up of one bucket."""

    def __init__(self, at: datetime) -> None:
        self.at = at
        self._counts: Counter[str] = Counter()
        self._took: Counter[int] = Counter()

    def add(self, row: RowMapping) -> None:
        """Add an hour or a day."""
        for name in _COUNTS:
            self._counts[name] += int(row[name])
        for place, count in enumerate(row["took"]):
            self._took[place] += count

    def made(self) -> Bucket:
        """The bucket."""
        took = [self._took[place] for place in range(max(self._took, default=-1) + 1)]
        return Bucket(at=self.at, p50_s=within(took, 0.5), p95_s=within(took, 0.95), **{name: self._counts[name] for name in _COUNTS})


# Each is one statement, which sees the sums and up to when they are complete at the same moment.
_COUNTED = text(f"""
    select at, {", ".join(_COUNTS)}, took from figures where tenant_id = :tenant and step = :step and at >= :since
    union all
    select at, {", ".join(_COUNTS)}, took from counted_between({_SINCE}, 'infinity', :tenant)""")  # noqa: S608 - our own words
_FAILED = text(f"""
    select what, code, sum(n) as n from (
        select what, code, n from figure_failures where tenant_id = :tenant and at >= :since
        union all select what, code, n from failures_between({_SINCE}, 'infinity', :tenant)) x
    group by what, code""")  # noqa: S608 - our own words
_WAITING = text("""
    select count(distinct conversation_id) as waiting, coalesce(extract(epoch from now() - min(received_at)), 0) as oldest_s from (
        select i.conversation_id, i.received_at from inbox i
        where i.turn_id is null and i.kind = 'message' and i.conversation_id is not null and i.tenant_id = :tenant
        union all
        select i.conversation_id, i.received_at from turns t join inbox i on i.turn_id = t.id where t.state = 'open' and t.tenant_id = :tenant
    ) unanswered""")
