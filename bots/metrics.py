"""What a process counts, under Prometheus names with their units. No label contains an id, a name or a person's text; each has few values."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram, generate_latest, start_http_server
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from bots.errors import BadSetting
from bots.settings import Settings

#: From a budget of 50 ms (half of them) to the 5 s after which a platform gives up.
_WEBHOOK_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

WEBHOOKS = Counter("chinwag_webhooks", "Webhooks received, by channel and result.", ["channel", "verdict"])
WEBHOOK_SECONDS = Histogram("chinwag_webhook_seconds", "From a webhook's first byte to its answer.", ["channel"], buckets=_WEBHOOK_BUCKETS)
REFUSED = Counter(
    "chinwag_web_refused",
    "Connections that were ended because they passed a bound, by what they were waiting for and the answer.",
    ["stage", "status"],
)


def gathered(*more: Collector) -> CollectorRegistry:
    """A registry of all that this process counts, and of what these collectors read whenever they are asked."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Process())
    for collector in more:
        registry.register(collector)
    return registry


def text(registry: CollectorRegistry) -> bytes:
    """Return the registry's values in Prometheus's text format."""
    return generate_latest(registry)


def listen(settings: Settings, *more: Collector) -> None:
    """Serve /metrics on its own port if the settings name one. Raises BadSetting when that port is not available."""
    if not settings.metrics_port:
        return
    try:
        start_http_server(settings.metrics_port, addr=settings.metrics_host, registry=gathered(*more))
    except (OSError, OverflowError) as error:
        where = f"{settings.metrics_host}:{settings.metrics_port}"
        raise BadSetting(f"CHINWAG_METRICS_PORT: cannot listen on {where}; set another port, or 0 for none.") from error


class _Process(Collector):
    """The counters of this process, with its CPU, memory and open files."""

    def collect(self) -> Iterable[Metric]:
        """Return what the process's own registry contains."""
        return REGISTRY.collect()
