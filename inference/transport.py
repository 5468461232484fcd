"""HTTP to model servers: one httpx client a thread, one SSL context for all, and a deadline that no dripping peer defeats.

Sockets read with the time that is left until the deadline, so bytes that trickle in, headers too, never prolong a call.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

import httpcore
import httpx

#: What a call can fail with on the way: no connection, a broken one, or a passed deadline.
WIRE_ERRORS: tuple[type[Exception], ...] = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
    httpcore.ConnectionNotAvailable,
)
DEADLINE_PASSED = httpcore.TimeoutException


@cache
def shared_ssl_context() -> ssl.SSLContext:
    """Return the process's one SSL context: 256 clients with one each cost 5.2 s of CPU and 211 MB, with one for all 0.05 s."""
    return ssl.create_default_context()


class Deadline:
    """The moment until which the thread's present call may read, and the longest time to connect."""

    __slots__ = ("at", "connect_s", "connected")

    def __init__(self) -> None:
        self.at = 0.0
        self.connect_s = 0.0
        #: Whether the present call opened a connection of its own.
        self.connected = False

    def left(self) -> float:
        """Return the seconds that are left. Raises ReadTimeout when there are none."""
        left = self.at - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("the deadline has passed")
        return left


class _Stream(httpcore.NetworkStream):
    """A connection whose reads and writes end at the deadline."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._inner = inner
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - httpcore's signature
        return self._inner.read(max_bytes, self._deadline.left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 - httpcore's signature
        self._inner.write(buffer, self._deadline.left())

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 - httpcore's signature
    ) -> httpcore.NetworkStream:
        limit = min(self._deadline.connect_s, self._deadline.left())
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, limit), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Backend(httpcore.NetworkBackend):
    """Opens connections that obey the thread's deadline."""

    def __init__(self, deadline: Deadline) -> None:
        self._inner = httpcore.SyncBackend()
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        self._deadline.connected = True
        limit = min(self._deadline.connect_s, self._deadline.left())
        return _Stream(self._inner.connect_tcp(host, port, limit, local_address, socket_options), self._deadline)


class _Body(httpx.SyncByteStream):
    """The body of a response; closing it early drops the connection, which frees the server's slot."""

    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._response.iter_stream())

    def close(self) -> None:
        self._response.close()


class _Transport(httpx.BaseTransport):
    """httpx's way to the network, with sockets that obey the thread's deadline."""

    def __init__(self, deadline: Deadline) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=shared_ssl_context(),
            max_connections=2,
            max_keepalive_connections=1,
            keepalive_expiry=30.0,
            network_backend=_Backend(deadline),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        response = self._pool.handle_request(
            httpcore.Request(
                request.method,
                httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=request.headers.raw,
                content=request.stream,
            )
        )
        return httpx.Response(response.status, headers=response.headers, stream=_Body(response))

    def close(self) -> None:
        self._pool.close()


class Wire:
    """Posts JSON to one server. Every thread has a client and a deadline of its own."""

    def __init__(self, base_url: str, headers: Mapping[str, str]) -> None:
        self._base_url = base_url.rstrip("/")
        # Identity: a compressed response could be larger than the cap that was counted.
        self._headers = {"content-type": "application/json", "accept-encoding": "identity", **headers}
        self._mine = threading.local()

    def post(self, path: str, content: bytes, *, connect_s: float, until: float) -> tuple[httpx.Response, Deadline]:
        """Return the response, its body unread, and the deadline that its reads obey. Raises one of WIRE_ERRORS.

        A kept connection that the server closed meanwhile fails before any byte of a response: then a new one is tried, once.
        """
        client, deadline = self._client()
        deadline.at, deadline.connect_s = until, connect_s
        while True:
            deadline.connected = False
            request = client.build_request("POST", self._base_url + path, content=content)
            try:
                return client.send(request, stream=True, follow_redirects=False), deadline
            except (httpcore.ReadError, httpcore.WriteError, httpcore.RemoteProtocolError):
                if deadline.connected:
                    raise

    def _client(self) -> tuple[httpx.Client, Deadline]:
        mine: _Mine | None = getattr(self._mine, "own", None)
        if mine is None:
            mine = self._mine.own = _Mine(self._headers)
        return mine.client, mine.deadline


class _Mine:
    """A thread's client; closed with the thread, or with the wire."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self.deadline = Deadline()
        # trust_env off: settings alone decide where a contact's words go, no proxy variable does.
        self.client = httpx.Client(transport=_Transport(self.deadline), headers=headers, trust_env=False, follow_redirects=False)

    def __del__(self) -> None:
        self.client.close()


def read_at_most(response: httpx.Response, limit: int) -> bytes | None:
    """Return the whole body, or None when it is larger than the limit. Raises one of WIRE_ERRORS."""
    body = bytearray()
    for piece in response.iter_raw():
        body += piece
        if len(body) > limit:
            return None
    return bytes(body)
