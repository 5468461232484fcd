"""HTTP to model servers: one httpx transport a thread, and a deadline that holds even against a server that sends byte by byte."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain

import httpx

from inference.client.packing import Unreadable, unpacked
from inference.types import Endpoint
from wire.deadline import Deadline
from wire.response import Response
from wire.transport import DeadlineTransport, Hear

#: The errors of a call on the network: no connection, a broken one, or a passed deadline.
WIRE_ERRORS = httpx.TransportError
DEADLINE_PASSED = httpx.TimeoutException
#: Shorter than model servers keep idle connections. A connection that was closed all the same is replaced once.
_KEEP_S = 30.0


class Wire:
    """Sends JSON to one server. Every thread has a transport and a deadline of its own."""

    def __init__(self, base_url: str, headers: Mapping[str, str]) -> None:
        self._base_url = base_url.rstrip("/")
        #: Parsed once: parsing an address takes 0.2 ms.
        self._urls: dict[str, httpx.URL] = {}
        # Plain bodies are asked for: unpacking costs time, and gains nothing for pieces of a few bytes.
        self._headers = {"content-type": "application/json", "accept-encoding": "identity", **headers}
        self._mine = threading.local()

    @property
    def deadline(self) -> Deadline:
        """The deadline of this thread's calls."""
        return self._transport().deadline

    def post(
        self,
        path: str,
        content: bytes,
        *,
        connect_s: float,
        until: float,
        headers: Mapping[str, str] | None = None,
        hear: Hear | None = None,
    ) -> tuple[Response, Deadline]:
        """Return the response, its body unread, and the deadline that its reads obey. Raises one of WIRE_ERRORS.

        A kept connection that the server has closed fails before any byte of a response: then a new one is tried, once.
        `headers` are added for this call. hear: what takes the body in the listener's thread, if anything does (`DeadlineTransport.call`).
        """
        return self._send("POST", path, content, connect_s=connect_s, until=until, headers=headers, hear=hear)

    def get(self, path: str, *, connect_s: float, until: float) -> tuple[Response, Deadline]:
        """Get a page, in the same way as `post`."""
        return self._send("GET", path, b"", connect_s=connect_s, until=until, headers=None)

    def _send(
        self,
        method: str,
        path: str,
        content: bytes,
        *,
        connect_s: float,
        until: float,
        headers: Mapping[str, str] | None,
        hear: Hear | None = None,
    ) -> tuple[Response, Deadline]:
        url = self._urls.get(path) or self._url(path)
        sent = self._headers if headers is None else {**self._headers, **headers}
        transport = self._transport()
        deadline = transport.deadline
        deadline.start(until=until, connect_s=connect_s)
        while True:
            deadline.connected = False
            try:
                # The transport itself: a client's cookies, redirects and joined addresses are not needed, and take 0.4 ms a call.
                return transport.call(method, url, sent, content, hear=hear), deadline
            except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
                if deadline.connected:
                    raise

    def _url(self, path: str) -> httpx.URL:
        try:
            url = httpx.URL(self._base_url + path)
            # httpx finds an impossible host name only when `host` is read.
            _ = url.host
        except (httpx.InvalidURL, ValueError) as error:
            raise httpx.UnsupportedProtocol("no call can use this address") from error
        self._urls[path] = url
        return url

    def _transport(self) -> DeadlineTransport:
        """Return the transport of this thread; it ends with the thread, or with the Wire."""
        mine: DeadlineTransport | None = getattr(self._mine, "own", None)
        if mine is None:
            mine = self._mine.own = DeadlineTransport(keep_s=_KEEP_S)
        return mine


def key_header(endpoint: Endpoint) -> dict[str, str]:
    """Return the header with the endpoint's key, if it has one."""
    return {"authorization": f"Bearer {endpoint.api_key}"} if endpoint.api_key else {}


class Packed(httpx.TransportError):
    """A response is packed in a way that cannot be undone. The message says how."""


def pieces_of(response: Response, first: Sequence[bytes] = ()) -> Iterator[bytes]:
    """Yield the body as it comes, unpacked. Raises one of WIRE_ERRORS, of which Packed is one. first: what was read of it already."""
    try:
        # The stream itself: what httpx does around it costs more than reading an event of an answer.
        yield from unpacked(chain(first, response.stream), response.headers.get("content-encoding", ""))
    except Unreadable as error:
        raise Packed(str(error)) from error


def is_plain(response: Response) -> bool:
    """Whether the headers name no packing."""
    return response.headers.get("content-encoding", "").strip().lower() in ("", "identity")


def listen(response: Response, take: Callable[[bytes], bool]) -> None:
    """Give the rest of a plain body as it comes to `take`, in another thread, until it wants no more. Raises one of WIRE_ERRORS, and what it raises.

    `pieces_of` then goes on with what is left.
    """
    response.stream.listen(take)


def read_at_most(response: Response, limit: int) -> bytes | None:
    """Return the whole body, unpacked, or None when it is larger than the limit. Raises one of WIRE_ERRORS."""
    body = bytearray()
    for piece in pieces_of(response):
        body += piece
        if len(body) > limit:
            return None
    return bytes(body)
