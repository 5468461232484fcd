"""/metrics of the web, for signed-in operators and API tokens; how webhooks are counted; the numbers that Postgres holds."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from functools import cache, partial

from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Engine
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bots import metrics
from bots.admin.acting import Operator
from bots.domain import ChannelKind
from bots.errors import StorageUnavailable
from bots.storage import gauges
from bots.storage.database import hot
from bots.storage.gauges import Gauges
from bots.web.admin_site import AdminSite

_VERDICTS = {
    200: "stored",
    401: "forged",
    403: "refused",
    404: "no_account",
    408: "too_slow",
    413: "too_large",
    415: "encoded",
    503: "unavailable",
}
_CHANNELS = frozenset(kind.value for kind in ChannelKind)
#: However often monitors ask, Postgres is asked once in this time.
_FRESH_S = 5.0


class CountWebhooks:
    """Counts and times what is posted to /webhooks/."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and note how it ends."""
        if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].startswith("/webhooks/"):
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            named = scope["path"].split("/", 3)[2]
            counter, seconds = _counters(named if named in _CHANNELS else "other", status)
            counter.inc()
            seconds.observe(time.perf_counter() - began)


@cache
def _counters(channel: str, status: int) -> tuple[Counter, Histogram]:
    return metrics.WEBHOOKS.labels(channel, _VERDICTS.get(status, "error")), metrics.WEBHOOK_SECONDS.labels(channel)


class Work(Collector):
    """What is waiting, running and in trouble, from Postgres; read when somebody asks."""

    def __init__(self, crossing: Engine) -> None:
        self._crossing = crossing
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._known: Gauges | None = None

    def collect(self) -> Iterator[Metric]:
        """Return the numbers; without Postgres, only that it does not answer."""
        known = self._now()
        yield GaugeMetricFamily("chinwag_postgres_up", "Whether Postgres answered just now.", value=int(known is not None))
        if known is None:
            return
        for name, what, value in (
            ("chinwag_conversations_due", "Conversations that wait for a worker.", known.due),
            ("chinwag_oldest_due_seconds", "How long the oldest of them has waited.", known.oldest_due_s),
            ("chinwag_conversations_running", "Conversations that a worker is answering.", known.running),
            ("chinwag_conversations_taken_over", "Conversations that a person answers instead of the bot.", known.taken_over),
            ("chinwag_outbox_unsent", "Messages on their way out.", known.unsent),
            ("chinwag_workers", "Worker processes that reported within a minute.", known.workers),
            ("chinwag_worker_slots", "Turns that they can work on at once.", known.slots),
            ("chinwag_worker_slots_busy", "Slots that are in use.", known.busy),
        ):
            yield GaugeMetricFamily(name, what, value=value)
        yield _by("chinwag_attention_items", "What waits for a person.", "kind", known.attention)
        yield _by("chinwag_send_limits", "Accounts and apps whose sends are limited.", "state", known.limited)
        yield _by("chinwag_batch_items", "Items of running and paused batches.", "state", known.batch_items)

    def _now(self) -> Gauges | None:
        with self._lock:
            if time.monotonic() - self._read_at >= _FRESH_S:
                try:
                    with hot(self._crossing) as connection:
                        self._known = gauges.read(connection)
                except StorageUnavailable:
                    self._known = None
                self._read_at = time.monotonic()
            return self._known


class Metrics:
    """The web's /metrics."""

    def __init__(self, site: AdminSite) -> None:
        self._site = site
        #: Also for a port of its own.
        self.work = Work(site.deps.crossing)
        self._registry = metrics.gathered(self.work)
        # Not public: a monitor uses an API token of the role viewer.
        self.routes = [Route("/metrics", site.api(self.show), methods=["GET"])]

    async def show(self, _request: Request, _operator: Operator) -> Response:
        """Write all numbers down."""
        body = await self._site.do(partial(metrics.text, self._registry))
        return Response(body, headers={"Content-Type": CONTENT_TYPE_LATEST, "Cache-Control": "no-store"})


def _by(name: str, what: str, label: str, values: Mapping[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, what, labels=[label])
    for value, count in values.items():
        family.add_metric([value], count)
    return family
