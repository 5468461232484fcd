"""The page of tokens and money: a month by day as a chart, by bot, by model and endpoint; the same as a file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from starlette.requests import Request
from starlette.responses import Response

from bots.admin import usage
from bots.admin.acting import Operator
from bots.admin.money import axis, money
from bots.storage.usage import Month
from bots.web.admin_site import AdminSite
from bots.web.charts import Format, Series, bars, whole
from bots.web.pages.home import Picture


class UsagePages:
    """The endpoints of the page."""

    def __init__(self, site: AdminSite) -> None:
        self._site = site
        self.routes = [site.page("/admin/usage", self._show), site.page("/admin/usage.csv", self._file)]

    async def _show(self, request: Request, operator: Operator) -> Response:
        asked = usage.month_of(request.query_params.get("month", ""))
        found = await self._site.run(usage.read, operator, asked)
        month = found.month
        months = sorted({*found.months, month.first}, reverse=True)
        return self._site.render(
            request,
            operator,
            "usage.html",
            month=month,
            word=_word(month.first),
            months=[(_word(first), f"{first:%B %Y}") for first in months],
            pictures=draw(month),
            unpriced=[one for one in month.models if not one.cost and (one.tokens_in or one.tokens_out)],
            say_whole=whole,
        )

    async def _file(self, request: Request, operator: Operator) -> Response:
        asked = usage.month_of(request.query_params.get("month", ""))
        if asked is None:
            asked = (await self._site.run(usage.read, operator)).month.first
        body = await self._site.run(usage.as_csv, operator, asked)
        headers = {"Content-Disposition": f'attachment; filename="usage-{_word(asked)}-UTC.csv"', "Cache-Control": "no-store"}
        return Response(body, media_type="text/csv; charset=utf-8", headers=headers)


def draw(month: Month) -> list[Picture]:
    """Draw a month's money and tokens by day."""
    days = usage.days_of(month.first)
    talk, batch = (usage.by_day([one for one in month.days if one.kind == kind]) for kind in ("talk", "batch"))
    both = usage.by_day(month.days)
    spent = [
        Series(name="conversations", values=[talk[day].cost for day in days]),
        Series(name="batches", values=[batch[day].cost for day in days], colour="warn"),
    ]
    tokens = [
        Series(name="output", values=[float(both[day].tokens_out) for day in days]),
        Series(name="input", values=[float(max(both[day].tokens_in - both[day].tokens_cached, 0)) for day in days], colour="warn"),
        Series(name="input, cached", values=[float(both[day].tokens_cached) for day in days], colour="soft"),
    ]
    return [
        _picture("money", "Cost by day", days, spent, say=axis, tell=money),
        _picture("tokens", "Tokens by day", days, tokens, say=whole, tell=_exact),
    ]


def _picture(name: str, title: str, days: Sequence[date], series: Sequence[Series], *, say: Format, tell: Format) -> Picture:
    """A chart with the numbers of the days on which there was anything, the newest first."""
    some = [n for n in range(len(days) - 1, -1, -1) if any(one.values[n] for one in series)]
    return Picture(
        name=name,
        title=title,
        drawn=bars(name, f"{title}, {days[0]:%B %Y}", [str(day.day) for day in days], series, say=say, tell=tell),
        legend=tuple((one.colour, one.name) for one in series),
        columns=tuple(one.name for one in series),
        rows=tuple((days[n].isoformat(), *(tell(one.values[n] or 0) for one in series)) for n in some),
    )


def _exact(value: float) -> str:
    return f"{value:,.0f}"


def _word(first: date) -> str:
    return f"{first:%Y-%m}"
