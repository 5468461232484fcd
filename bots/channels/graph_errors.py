"""What an answer of the Graph API, or no answer, proves about a send: by the table of codes and a table of exceptions.

Decided by error.code first, then by HTTP 429 and 5xx: the HTTP status of a Meta error is not stable.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, cast

import httpx
import msgspec

from bots.channels.graph_code import GraphCode, Table, find
from bots.domain import Retry
from bots.errors import AccessLost, AccountThrottled, NotSent, Rejected, SendError, SendUnknown, TransientRejection, Unclear

Json = dict[str, Any]

_RETRY_AFTER_LIMIT_S = 72 * 3600.0
_INT32 = 2**31

#: Codes that say nothing about whether the message was processed when they come with a 5xx.
_SAYS_NOTHING = frozenset({1, 131000})
#: No byte of the request had left.
_NOT_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
    httpx.ProxyError,
)


def from_exception(error: httpx.TransportError) -> SendError:
    """Return what an exception proves: not sent where no byte can have left, otherwise unknown."""
    name = type(error).__name__
    if isinstance(error, _NOT_SENT):
        return NotSent(f"The platform could not be reached: {name}.")
    return SendUnknown(f"The request was sent and no answer came: {name}.")


def from_answer(status: int, headers: Mapping[str, str], body: Json | None, table: Table) -> SendError:
    """Return what an error answer proves, by a channel's table. Header names are in lower case, or case does not matter."""
    told = body.get("error") if body else None
    error = cast("Json", told) if isinstance(told, dict) else None
    code = code_of(error, "code") if error is not None else None
    subcode = code_of(error, "error_subcode") or None if error is not None else None
    known = find(table, code, subcode) if code is not None else None
    kind = _by_code(status, code, error or {}, known) if code is not None else _by_status(status)
    wait = retry_after(headers)
    what = f"error {code}" if code is not None else "no error code"
    return kind(
        f"The platform answered HTTP {status}, {what}.",
        http_status=status,
        code=code,
        subcode=subcode if code is not None else None,
        trace_id=trace_id(headers, error),
        retry_after_s=wait if wait is not None or known is None else known.wait_s,
        # A class that the HTTP status decided has a scope of its own.
        scope=known.scope if known is not None and kind is known.error else None,
        is_in_doubt=kind is Unclear or (kind.retry is Retry.NEVER and not (known is not None and known.is_certain)),
    )


def _by_code(status: int, code: int, error: Json, known: GraphCode | None) -> type[SendError]:
    if status < 400:
        return SendUnknown
    kind = None if known is None else known.error
    if status >= 500 and (kind is None or code in _SAYS_NOTHING):
        return SendUnknown
    if kind is not None:
        return kind
    if status == 429:
        return AccountThrottled
    if status == 401:
        return AccessLost
    return TransientRejection if error.get("is_transient") is True else Rejected


def _by_status(status: int) -> type[SendError]:
    if status == 429:
        return AccountThrottled
    if status in {401, 403, 404, 405, 407}:
        # Not an answer of the Graph API: a wrong address, or a proxy that refuses, perhaps only this once.
        return Unclear
    if status in {421, 425}:
        return TransientRejection
    # A 408 may come from a proxy, after it has passed the request on.
    return Rejected if 400 <= status < 500 and status != 408 else SendUnknown


def code_of(error: Json, name: str) -> int | None:
    """Read a code of an error object, as a number or as text."""
    value = error.get(name)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _INT32 else None


def trace_id(headers: Mapping[str, str], error: Json | None = None) -> str | None:
    """Return Meta's trace id, which their support asks for."""
    told = (error or {}).get("fbtrace_id")
    found = told if isinstance(told, str) and told else headers.get("x-fb-trace-id")
    return "".join(sign for sign in found[:128] if sign.isascii() and sign.isprintable()) or None if found else None


def retry_after(headers: Mapping[str, str], *, now: datetime | None = None) -> float | None:
    """Return the seconds that Retry-After asks to wait: a number or a date, at most three days."""
    text = (headers.get("retry-after") or "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        moment = _date(text)
        if moment is None:
            return None
        seconds = (moment - (now or _date(headers.get("date") or "") or datetime.now(UTC))).total_seconds()
    return min(max(seconds, 0.0), _RETRY_AFTER_LIMIT_S) if math.isfinite(seconds) else None


def _date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def read_json(body: bytes | None) -> Json | None:
    """Return the JSON object in an answer's body, or None."""
    if body is None:
        return None
    try:
        found: object = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    return cast("Json", found) if isinstance(found, dict) else None
