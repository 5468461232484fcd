"""The home page: the numbers of the last day or week as charts, what needs attention, and the state of each part of the service."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from bots.admin import figures as use_cases
from bots.admin.acting import Operator
from bots.storage import turns
from bots.storage.figures import Figures, Span
from bots.storage.overview import Overview
from bots.web.admin_site import AdminSite
from bots.web.charts import Series, bars, lines, seconds, whole
from bots.web.pages.attention import KINDS
from bots.web.views import when

#: Workers report every 5 s; after three missed reports a worker counts as gone.
_SILENT_AFTER_S = 16.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture with its numbers as a table."""

    name: str
    title: str
    drawn: Markup
    #: What the colours stand for: colour and name; empty where there is one alone.
    legend: tuple[tuple[str, str], ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class HomePages:
    """The home page's endpoint."""

    def __init__(self, site: AdminSite) -> None:
        self._site = site
        self.routes = [site.page("/admin", self._show)]

    async def _show(self, request: Request, operator: Operator) -> Response:
        span = Span.WEEK if request.query_params.get("span") == "week" else Span.DAY
        figures = await self._site.run(use_cases.read, operator, span, cache=self._site.figures)
        glance = await self._site.run(use_cases.glance, operator)
        return self._site.render(
            request,
            operator,
            "home.html",
            overview=glance.overview,
            parts=_parts(glance.overview),
            figures=figures,
            spent=glance.spent,
            pictures=draw(figures),
            say_seconds=seconds,
            say_whole=whole,
            troubles=[(KINDS[kind], kind.value, found) for kind, found in glance.troubles.items() if found],
        )


def draw(figures: Figures) -> list[Picture]:
    """Draw the pictures of a span."""
    buckets, by_hour = figures.buckets, figures.span is Span.DAY
    labels = [bucket.at.strftime("%H:%M" if by_hour else "%a %d") for bucket in buckets]
    begins = [when(bucket.at) if by_hour else bucket.at.strftime("%Y-%m-%d") for bucket in buckets]
    hours = [bucket.at for bucket in buckets] if by_hour else []

    def picture(name: str, title: str, *series: Series) -> Picture:
        is_time = name == "times"
        return Picture(
            name=name,
            title=title,
            drawn=(lines if is_time else bars)(name, title, labels, series, say=seconds if is_time else whole, hours=hours),
            legend=tuple((one.colour, one.name) for one in series) if len(series) > 1 else (),
            columns=tuple(one.name for one in series),
            rows=tuple(
                (begin, *("" if one.values[n] is None else _exact(one.values[n] or 0) for one in series)) for n, begin in enumerate(begins)
            ),
        )

    def values(name: str) -> list[float | None]:
        return [None if (value := getattr(bucket, name)) is None else float(value) for bucket in buckets]

    fresh = [float(max(bucket.tokens_in - bucket.tokens_cached, 0)) for bucket in buckets]
    drawn = [
        picture("messages", "Messages received", Series(name="messages", values=values("messages"))),
        picture(
            "answers",
            "Turns answered",
            Series(name="by the bot", values=values("answers")),
            Series(name="by a person", values=values("by_hand"), colour="warn"),
        ),
        picture(
            "times",
            "Time to answer",
            Series(name="p50", values=values("p50_s")),
            Series(name="p95", values=values("p95_s"), colour="warn"),
        ),
        picture(
            "tokens",
            "Tokens",
            Series(name="out", values=values("tokens_out")),
            Series(name="in", values=fresh, colour="warn"),
            Series(name="in, cached", values=values("tokens_cached"), colour="soft"),
        ),
    ]
    if figures.failures:
        drawn.append(_failures(figures))
    return drawn


def _failures(figures: Figures) -> Picture:
    shown = figures.failures[:6]
    labels = [_short(failure.code) for failure in shown]
    counts: list[float | None] = [float(failure.count) for failure in shown]
    return Picture(
        name="failures",
        title="Failures by code",
        drawn=bars("failures", "Failures by code", labels, [Series(name="failures", values=counts, colour="bad")]),
        legend=(),
        columns=("part", "count"),
        rows=tuple((failure.code, failure.what, str(failure.count)) for failure in figures.failures),
    )


def _short(code: str) -> str:
    return code if len(code) <= 8 else code[:7] + "…"


def _exact(value: float) -> str:
    return f"{value:.0f}" if value == int(value) else f"{value:.2f}"


def _parts(overview: Overview) -> list[tuple[str, str, str]]:
    """Name each part with ok, bad or unknown, and why. Redis is judged by the workers that depend on it."""
    parts = [("Postgres", "ok", "answers"), *_accounts(overview)]
    alive = [beat for beat in overview.heartbeats if beat.age_s < _SILENT_AFTER_S]
    workers = [beat for beat in alive if beat.slots > 0]
    if workers:
        busy, slots = sum(beat.busy for beat in workers), sum(beat.slots for beat in workers)
        parts.append(("Workers", "ok", f"{len(workers)} running, {busy} of {slots} slots busy"))
    else:
        parts.append(("Workers", "bad", "no worker has reported; nothing is answered"))
    dispatchers = [beat for beat in alive if beat.slots == 0]
    late = overview.work.oldest_due_s
    if late > _SILENT_AFTER_S:
        parts.append(("Dispatcher and Redis", "bad", f"work has been waiting for {late:.0f} s"))
    elif dispatchers or workers:
        parts.append(("Dispatcher and Redis", "ok", "nothing is late"))
    else:
        parts.append(("Dispatcher and Redis", "unknown", "no work and no worker yet"))
    model = overview.model
    if model is None:
        parts.append(("Model", "unknown", "not used yet"))
    else:
        took = f", {model.total_ms:.0f} ms" if model.total_ms is not None else ""
        parts.append(("Model", "ok" if model.outcome in turns.WELL else "bad", f"{model.model}: {model.outcome}{took}"))
    return parts


def _accounts(overview: Overview) -> list[tuple[str, str, str]]:
    accounts = overview.accounts
    if not accounts.found:
        return []
    whole = f"{accounts.found} {'account' if accounts.found == 1 else 'accounts'}"
    waits = [f"{accounts.parked} parked"] if accounts.parked else []
    waits += [f"{accounts.slowed} slowed down by the platform"] if accounts.slowed else []
    return [("Accounts", "bad" if waits else "ok", f"{whole}, {', '.join(waits)}" if waits else f"{whole}, none parked")]
