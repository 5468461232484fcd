"""What an answer of the Graph API, or the lack of one, proves about a send: one table of codes, one of exceptions.

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

from bots.errors import (
    AccessLost,
    AccountThrottled,
    AppThrottled,
    NotSent,
    PairThrottled,
    Rejected,
    SendError,
    SendUnknown,
    TransientRejection,
    WindowClosed,
)

Json = dict[str, Any]

_HOUR = 3600.0
_RETRY_AFTER_LIMIT_S = 72 * _HOUR
_INT32 = 2**31

_CODES: dict[int, type[SendError]] = {
    # Token and permission.
    **dict.fromkeys((0, 3, 10, 102, 190, 2500, 131005, *range(200, 300)), AccessLost),
    # The account is blocked, locked, unpaid, unnamed, unregistered or gone: an operator has to act.
    **dict.fromkeys((33, 368, 131031, 131037, 131042, 131045, 133010), AccessLost),
    **dict.fromkeys((4, 613), AppThrottled),
    **dict.fromkeys((17, 32, 80007, 130429, 131048, 131064, 133016), AccountThrottled),
    131056: PairThrottled,
    131047: WindowClosed,
    **dict.fromkeys((1, 2, 131000, 131016, 131057), TransientRejection),
    # This contact: undeliverable, held back, opted out, in an experiment, in a country not allowed, another identity.
    **dict.fromkeys((130472, 130497, 131026, 131030, 131049, 131050, 137000), Rejected),
    # This message: parameters, type, media, template.
    **dict.fromkeys((100, 131008, 131009, 131021, 131051, 131052, 131053, 131062, 135000), Rejected),
    **dict.fromkeys((132000, 132001, 132005, 132007, 132008, 132012, 132015, 132016, 132018, 132068), Rejected),
}
#: What a code means on one channel, alone or with its subcode.
Table = Mapping[int | tuple[int, int], type[SendError]]
NO_MORE: Table = {}
_PAGES: Table = {
    1200: TransientRejection,
    (10, 2018278): WindowClosed,
    # One person: not there, blocked, left, or no tester while the app is in development.
    **dict.fromkeys((551, (100, 2018001), (100, 33), (200, 2018028)), Rejected),
    # One thread: answered already, or cannot be replied to.
    **dict.fromkeys((10900, 10903), Rejected),
    # The page: commerce or messages are switched off.
    **dict.fromkeys((2022, 10904), AccessLost),
    (613, 1893015): AccountThrottled,
}
#: Messenger's additions (platforms, 5.3).
MESSENGER: Table = _PAGES
#: Instagram's additions (platforms, 6.3): it has two more words for a closed window.
INSTAGRAM: Table = {**_PAGES, (10, 2534022): WindowClosed, (100, 2534022): WindowClosed, (551, 1545041): WindowClosed}
#: Codes that say nothing about whether the message was processed when they come with a 5xx.
_SAYS_NOTHING = frozenset({1, 131000})
#: How long to wait where the documentation says it and the answer does not.
_WAIT_S = {131048: _HOUR, 131064: 24 * _HOUR, 133016: 72 * _HOUR, 131057: 60.0}

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
    """Return what an exception proves: not sent where no byte can have left, unknown everywhere else."""
    name = type(error).__name__
    if isinstance(error, _NOT_SENT):
        return NotSent(f"The platform could not be reached: {name}.")
    return SendUnknown(f"The request left and no answer came: {name}.")


def from_answer(status: int, headers: Mapping[str, str], body: Json | None, more: Table = NO_MORE) -> SendError:
    """Return what an answer without success proves; `more` is one channel's. Header names are in lower case or ignore it."""
    told = body.get("error") if body else None
    error = cast("Json", told) if isinstance(told, dict) else None
    code = code_of(error, "code") if error is not None else None
    kind = _by_code(status, code, error or {}, more) if code is not None else _by_status(status)
    wait = retry_after(headers)
    what = f"error {code}" if code is not None else "no error code"
    return kind(
        f"The platform answered HTTP {status}, {what}.",
        http_status=status,
        code=code,
        trace_id=trace_id(headers, error),
        retry_after_s=wait if wait is not None else _WAIT_S.get(code or 0),
    )


def _by_code(status: int, code: int, error: Json, more: Table) -> type[SendError]:
    if status < 400:
        return SendUnknown
    kind = more.get((code, code_of(error, "error_subcode") or 0)) or more.get(code) or _CODES.get(code)
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
        # Not the Graph API's own words: a wrong address, or something in between that refuses.
        return AccessLost
    if status in {421, 425}:
        return TransientRejection
    # A 408 may come from something in between, after the request was passed on.
    return Rejected if 400 <= status < 500 and status != 408 else SendUnknown


def code_of(error: Json, name: str) -> int | None:
    """Read a code of an error object; also one that came as text."""
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
