"""Logs: one JSON object per line on stderr. No line contains what a person wrote, a name, a phone number or a secret."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import MutableMapping
from functools import cache
from pathlib import Path
from typing import Any

import structlog

from bots.log_lines import LogLines

_HIDDEN = "***"
#: Keys whose values are never written. The canary test (invariant I8) checks the same from outside.
_DENIED = frozenset({
    "text", "body", "content", "message_text", "prompt", "persona", "answer", "payload", "raw", "query", "params", "parameters", "args",
    "contact_name", "phone", "number", "to", "recipient", "sender", "identity", "identities", "value", "fact", "memory_text",
    "token", "access_token", "verify_token", "secret", "app_secret", "password", "authorization", "cookie", "signature", "key", "keys", "url_with_password",
    "headers", "database_url", "redis_url",
})  # fmt: skip
#: How many frames of a traceback are logged, counted from the innermost.
_FRAMES = 12

Event = MutableMapping[str, Any]


def redact(_logger: Any, _method: str, event: Event) -> Event:
    """Replace the value of every denied key, including those in nested dicts."""
    for key, value in event.items():
        if key.lower() in _DENIED:
            event[key] = _HIDDEN
        elif isinstance(value, dict):
            event[key] = redact(None, "", dict(value))  # pyright: ignore[reportUnknownArgumentType] -- any dict a caller logged
    return event


def shorten_error(_logger: Any, _method: str, event: Event) -> Event:
    """Turn exc_info into the error's class and its frames: an error's message may quote what a person wrote."""
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    if isinstance(info, BaseException):
        info = (type(info), info, info.__traceback__)
    if not isinstance(info, tuple) or info[0] is None:
        return event
    kind, error, frames = info  # pyright: ignore[reportUnknownVariableType] -- sys.exc_info()'s shape
    event["error"] = _name(kind)  # pyright: ignore[reportUnknownArgumentType]
    cause: BaseException | None = getattr(error, "__cause__", None)  # pyright: ignore[reportUnknownArgumentType]
    if cause is not None:
        event["caused_by"] = _name(type(cause))
    stack = traceback.extract_tb(frames)[-_FRAMES:]  # pyright: ignore[reportUnknownArgumentType]
    event["where"] = [f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in stack]
    return event


def _name(kind: type[BaseException]) -> str:
    return f"{kind.__module__}.{kind.__qualname__}" if kind.__module__ != "builtins" else kind.__qualname__


class _ForeignRecords(logging.Formatter):
    """Log lines of libraries. A message's template is logged and its arguments are not, since they may contain anything."""

    def format(self, record: logging.LogRecord) -> str:
        event: Event = {"event": str(record.msg).strip(), "logger": record.name, "level": record.levelname.lower()}
        if record.exc_info:
            event["exc_info"] = record.exc_info
        event = shorten_error(None, "", event)
        structlog.processors.TimeStamper(fmt="iso", utc=True)(None, "", event)
        return str(structlog.processors.JSONRenderer()(None, "", event))


@cache
def _lines() -> LogLines:
    return LogLines(sys.stderr)


def flush() -> None:
    """Write what was logged, for a process that ends without Python's own end."""
    if _lines.cache_info().currsize:
        _lines().flush_all()


def configure(level: str) -> None:
    """Write this process's logs to stderr as JSON lines, from `level` upwards; those of libraries from warning upwards."""
    threshold = logging.getLevelNamesMapping().get(level.strip().upper(), logging.INFO)
    lines = _lines()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            shorten_error,
            redact,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(lines)
    handler.setFormatter(_ForeignRecords())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(threshold, logging.WARNING))
