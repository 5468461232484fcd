"""Asks a model server the few things that its owner needs: one token, its models, its metrics."""

from __future__ import annotations

import http.client
import json
import re
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any, cast
from urllib.parse import urlsplit

_ASK_S = 3.0
#: A first token of a large model on a busy engine.
TOKEN_S = 20.0
#: Returned in place of a status: connected, but no answer in time.
SILENT = -1
#: Statuses of a server that will never answer: a missing or wrong key; no chat, or no such model.
KEYLESS = (401, 403)
REFUSED = (400, 404, *KEYLESS)
_MOST_BYTES = 4 * 1024 * 1024
_FIGURE = re.compile(r"^((?:vllm|llamacpp):\w+)(?:\{[^}]*\})? (\S+)$", re.MULTILINE)
#: Metrics that make no sense as a sum over labels, or only say since when something is counted.
_LEFT_OUT = ("_created", "_bucket", "_info")
_IN_FLIGHT = ("vllm:num_requests_running", "vllm:num_requests_waiting", "llamacpp:requests_processing", "llamacpp:requests_deferred")
#: Counts of tokens, of which one grows whenever the engine works.
_WORK_DONE = (
    "vllm:generation_tokens_total",
    "vllm:prompt_tokens_total",
    "vllm:prefix_cache_queries_total",
    "llamacpp:tokens_predicted_total",
    "llamacpp:prompt_tokens_total",
)


class Asking:
    """One server, by its address without /v1. Every request has a deadline and a size limit, and none raises."""

    def __init__(self, url: str, *, api_key: str = "") -> None:
        self._parts = urlsplit(url)
        self._headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {api_key}"} if api_key else {})
        self._tls = ssl.create_default_context() if self._parts.scheme == "https" else None

    def one_token(self, model: str, *, timeout_s: float = TOKEN_S) -> int:
        """Ask for an answer of one token and return the response's status; 0 where nothing listens, SILENT where no answer comes in time."""
        body = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
        return self._ask("POST", "/v1/chat/completions", json.dumps(body), timeout_s=timeout_s)[0]

    def health(self) -> int:
        """Return the health page's status; 0 where nothing listens, SILENT where no answer comes in time."""
        return self._ask("GET", "/health", None, timeout_s=_ASK_S)[0]

    def models(self) -> tuple[int, list[str]]:
        """Return the status and the names of the models that it serves."""
        status, text = self._ask("GET", "/v1/models", None, timeout_s=_ASK_S)
        try:
            rows: Any = json.loads(text).get("data", []) if status == 200 else []
            return status, [str(cast("dict[str, Any]", row)["id"]) for row in rows]
        except (ValueError, AttributeError, TypeError, KeyError):
            return status, []

    def metrics(self) -> dict[str, float]:
        """Return the server's own metrics by name; none where it has none."""
        status, text = self._ask("GET", "/metrics", None, timeout_s=_ASK_S)
        return read_metrics(text) if status == 200 else {}

    def _ask(self, method: str, path: str, body: str | None, *, timeout_s: float) -> tuple[int, str]:
        host, port = self._parts.hostname or "", self._parts.port
        if self._tls is None:
            connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
        else:
            connection = http.client.HTTPSConnection(host, port, timeout=timeout_s, context=self._tls)
        try:
            connection.request(method, self._parts.path.rstrip("/") + path, body, self._headers)
            response = connection.getresponse()
            return response.status, response.read(_MOST_BYTES).decode("utf-8", "replace")
        except TimeoutError:
            return SILENT, ""
        except (OSError, http.client.HTTPException):
            return 0, ""
        finally:
            connection.close()


def read_metrics(text: str) -> dict[str, float]:
    """Read Prometheus's text. Counters and gauges are summed over their labels (data-parallel ranks); of percentages the highest is taken."""
    found: dict[str, float] = {}
    for name, written in _FIGURE.findall(text):
        if name.endswith(_LEFT_OUT):
            continue
        value = float(written)
        found[name] = max(found.get(name, 0.0), value) if name.endswith("_perc") else found.get(name, 0.0) + value
    return found


def in_flight(figures: Mapping[str, float]) -> float:
    """How many requests run or wait in an engine, by its metrics."""
    return sum(figures.get(name, 0.0) for name in _IN_FLIGHT)


def work_done(figures: Mapping[str, float]) -> float:
    """A count of the tokens that an engine has read and written; it grows while the engine works."""
    return sum(figures.get(name, 0.0) for name in _WORK_DONE)


def wait_idle(metrics: Callable[[], Mapping[str, float]], timeout_s: float) -> bool:
    """Wait until an engine's metrics show no request; return whether that happened in time. An engine without metrics counts as idle."""
    end = time.monotonic() + timeout_s
    while in_flight(metrics()):
        if time.monotonic() >= end:
            return False
        time.sleep(0.1)
    return True
