"""A way out for httpx whose every call ends by a total deadline, whatever the peer does.

A read timeout alone is defeated by a peer that drips bytes; here each read waits at most for what is left of the whole.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore
import httpx

#: More than one address of a host may be tried, each with this time.
_CONNECT_SHARE = 1 / 3
_PIECE = 16 * 1024

_SAME: dict[type[Exception], type[httpx.TransportError]] = {
    httpcore.ConnectTimeout: httpx.ConnectTimeout,
    httpcore.ReadTimeout: httpx.ReadTimeout,
    httpcore.WriteTimeout: httpx.WriteTimeout,
    httpcore.PoolTimeout: httpx.PoolTimeout,
    httpcore.ConnectError: httpx.ConnectError,
    httpcore.ReadError: httpx.ReadError,
    httpcore.WriteError: httpx.WriteError,
    httpcore.LocalProtocolError: httpx.LocalProtocolError,
    httpcore.RemoteProtocolError: httpx.RemoteProtocolError,
    httpcore.UnsupportedProtocol: httpx.UnsupportedProtocol,
}


@contextmanager
def _as_httpx() -> Generator[None]:
    try:
        yield
    except tuple(_SAME) as error:
        raise _SAME[type(error)](type(error).__name__) from error


class Deadline:
    """When the call of this thread has to be over."""

    def __init__(self) -> None:
        self._ends = 0.0
        self._connect_s = 0.0

    def start(self, seconds: float) -> None:
        """Begin a call that may last so long."""
        self._ends = time.monotonic() + seconds
        self._connect_s = seconds * _CONNECT_SHARE

    def left(self, late: type[Exception]) -> float:
        """Return the seconds left. Raises the given exception when there are none."""
        left = self._ends - time.monotonic()
        if left <= 0:
            raise late
        return left

    def left_to_connect(self) -> float:
        """Return the seconds that connecting may take. Raises ConnectTimeout when there are none."""
        return min(self._connect_s, self.left(httpcore.ConnectTimeout))


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._inner, self._deadline = inner, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        del timeout
        return self._inner.read(max_bytes, self._deadline.left(httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        del timeout
        for start in range(0, len(buffer), _PIECE):
            self._inner.write(buffer[start : start + _PIECE], self._deadline.left(httpcore.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        del timeout
        inner = self._inner.start_tls(ssl_context, server_hostname, self._deadline.left_to_connect())
        return _Stream(inner, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Backend(httpcore.NetworkBackend):
    def __init__(self, deadline: Deadline) -> None:
        self._inner, self._deadline = httpcore.SyncBackend(), deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        del timeout
        inner = self._inner.connect_tcp(host, port, self._deadline.left_to_connect(), local_address, socket_options)
        return _Stream(inner, self._deadline)


class _Body(httpx.SyncByteStream):
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        with _as_httpx():
            yield from self._response.iter_stream()

    def close(self) -> None:
        self._response.close()


class DeadlineTransport(httpx.BaseTransport):
    """A transport for one thread's client; start its deadline before each call."""

    def __init__(self, ssl_context: ssl.SSLContext) -> None:
        self.deadline = Deadline()
        # Kept alive only briefly: a connection that the platform closes while we write is a send of unknown outcome.
        self._pool = httpcore.ConnectionPool(
            ssl_context=ssl_context,
            max_connections=2,
            max_keepalive_connections=1,
            keepalive_expiry=5.0,
            network_backend=_Backend(self.deadline),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return the response with its body unread. Raises httpx's exceptions."""
        url = request.url
        sent = httpcore.Request(
            request.method,
            httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.stream,
            extensions={"timeout": {"pool": 0.0}},
        )
        with _as_httpx():
            response = self._pool.handle_request(sent)
        return httpx.Response(response.status, headers=response.headers, stream=_Body(response))

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()
