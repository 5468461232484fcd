"""One call to Meta's Graph API: a total deadline, a capped answer, no redirects, and an outcome that says what is certain.

Exceptions are turned into outcomes here, where it is still known whether a byte left. The token is sent in a header and nowhere else.
"""

from __future__ import annotations

import ssl
import threading
import time
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote, urlsplit

import httpx
import msgspec

from bots.channels.graph_code import Table
from bots.channels.graph_codes import GRAPH
from bots.channels.graph_errors import from_answer, from_exception, read_json, trace_id
from bots.channels.signature import app_secret_proof
from bots.domain import Sent
from bots.errors import AccessLost, BadSetting, NotSent, SendUnknown, SentUnderNoId
from wire.response import Response
from wire.transport import DeadlineTransport

Json = dict[str, Any]

ANSWER_LIMIT = 256 * 1024
#: Several addresses of a host may be tried, each for at most this share of the time.
_CONNECT_SHARE = 1 / 3
#: Kept only briefly: if the platform closes a connection while we write, the outcome of the send is unknown.
_KEEP_S = 5.0
_MOST_URLS = 1000
_LONGEST_ID = 256
#: Of a read that only shows whether the platform answers.
PING_DEADLINE_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A success of the Graph API."""

    http_status: int
    #: None when the body was not a JSON object, too large, or cut off.
    body: Json | None
    trace_id: str | None


class GraphClient:
    """Calls the Graph API; safe to share between threads, each of which has a client of its own."""

    def __init__(self, *, base_url: str, version: str, deadline_s: float, ssl_context: ssl.SSLContext | None = None) -> None:
        address = urlsplit(base_url)
        if address.scheme not in {"http", "https"} or not address.hostname:
            raise BadSetting("The Graph API's address must begin with https:// or http:// and name a host.")
        self._base = f"{base_url.rstrip('/')}/{quote(version.strip('/'), safe='')}"
        self._deadline_s = deadline_s
        self._ssl = ssl_context
        self._urls: dict[str, httpx.URL] = {}
        self._own = threading.local()
        self._all: list[tuple[threading.Thread, DeadlineTransport]] = []
        self._lock = threading.Lock()

    def send(self, sender: str, message: Json, *, token: str, app_secret: str = "", errors: Table = GRAPH) -> Sent:
        """Send a message from a phone number, page or account. Raises SendError."""
        answer = self.tell(sender, message, token=token, app_secret=app_secret, errors=errors)
        found = _message_id(answer.body)
        if not isinstance(found, str) or not 0 < len(found) <= _LONGEST_ID or not found.isprintable():
            kind, what = (SendUnknown, "without a message id") if found is None else (SentUnderNoId, "with a message id that is none")
            raise kind(f"The platform answered HTTP {answer.http_status} {what}.", http_status=answer.http_status, trace_id=answer.trace_id)
        return Sent(external_id=found, http_status=answer.http_status, trace_id=answer.trace_id)

    def tell(
        self, sender: str, body: Json, *, token: str, app_secret: str = "", errors: Table = GRAPH, deadline_s: float | None = None
    ) -> Answer:
        """Post to the messages of a phone number, page or account and return the platform's success. Raises SendError."""
        path = f"{quote(sender, safe='')}/messages"
        return self.call("POST", path, token=token, app_secret=app_secret, body=body, errors=errors, deadline_s=deadline_s)

    def call(
        self,
        method: str,
        path: str,
        *,
        token: str,
        app_secret: str = "",
        body: Json | None = None,
        errors: Table = GRAPH,
        deadline_s: float | None = None,
    ) -> Answer:
        """Make one call below the version's address, with the app's proof where its secret is given. Raises SendError.

        errors is the channel's table of error codes.
        """
        if not is_plain(token):
            raise AccessLost("The account has no usable access token.")
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json", "Accept-Encoding": "identity"}
        try:
            content = msgspec.json.encode(body) if body is not None else None
            proven = f"?appsecret_proof={app_secret_proof(token, app_secret)}" if app_secret else ""
        except UnicodeEncodeError as error:
            raise NotSent("The request contains characters that cannot be written as UTF-8.", ours=True) from error
        if content is not None:
            headers["Content-Type"] = "application/json"
        transport = self._transport()
        total_s = self._deadline_s if deadline_s is None else min(deadline_s, self._deadline_s)
        transport.deadline.start(until=time.monotonic() + total_s, connect_s=total_s * _CONNECT_SHARE)
        try:
            # The transport itself: a client's cookies, redirects and merged addresses are not needed here, and cost 0.4 ms per call.
            response = transport.call(method, self._url(path + proven), headers, content or b"")
            try:
                return _read(response, errors)
            finally:
                response.close()
        except httpx.TransportError as error:
            raise from_exception(error) from error

    def _url(self, path: str) -> httpx.URL:
        """The parsed address of a path. Parsing takes 0.2 ms and accounts are few, so it is cached."""
        url = self._urls.get(path)
        if url is None:
            if len(self._urls) > _MOST_URLS:
                self._urls.clear()
            url = self._urls[path] = httpx.URL(f"{self._base}/{path}")
        return url

    def close(self) -> None:
        """Close every thread's connections."""
        with self._lock:
            transports, self._all = self._all, []
        for _, transport in transports:
            transport.close()

    def _transport(self) -> DeadlineTransport:
        mine: DeadlineTransport | None = getattr(self._own, "transport", None)
        if mine is None:
            mine = self._own.transport = DeadlineTransport(self._ssl, keep_s=_KEEP_S)
            self._keep(mine)
        return mine

    def _keep(self, transport: DeadlineTransport) -> None:
        """Register this thread's transport to be closed later, and close those of threads that have ended."""
        with self._lock:
            ended = [one for thread, one in self._all if not thread.is_alive()]
            self._all = [(thread, one) for thread, one in self._all if thread.is_alive()]
            self._all.append((threading.current_thread(), transport))
        for one in ended:
            one.close()


def _read(response: Response, errors: Table) -> Answer:
    """Read an answer. Raises SendError unless it is a success."""
    status = response.status_code
    body: Json | None = None
    try:
        body = read_json(capped(response))
    except httpx.TransportError as error:
        # The answer was cut off, but its status is known.
        if status < 400:
            raise SendUnknown(
                f"The platform's answer with HTTP {status} was cut off: {type(error).__name__}.",
                http_status=status,
                trace_id=trace_id(response.headers),
            ) from error
    if not 200 <= status < 300:
        raise from_answer(status, response.headers, body, errors)
    return Answer(http_status=status, body=body, trace_id=trace_id(response.headers))


def is_plain(text: str) -> bool:
    """Whether a text can be an id, a secret or a token: visible ASCII without spaces."""
    return bool(text) and text.isascii() and text.isprintable() and " " not in text


def capped(response: Response) -> bytes | None:
    """Read an answer's raw body; None when it is compressed, which was not asked for, or larger than the cap."""
    if response.headers.get("content-encoding", "identity") != "identity":
        return None
    body = bytearray()
    for piece in response.stream:
        body += piece
        if len(body) > ANSWER_LIMIT:
            return None
    return bytes(body)


def _message_id(body: Json | None) -> object:
    """Return an answer's messages[0].id, which WhatsApp sends, or its message_id, which Messenger and Instagram send; None: it has none."""
    told = body or {}
    messages = told.get("messages")
    first = cast("list[object]", messages)[0] if isinstance(messages, list) and messages else None
    return cast("Json", first).get("id") if isinstance(first, dict) else told.get("message_id")
