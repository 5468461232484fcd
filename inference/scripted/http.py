"""Just enough HTTP/1.1 for the scripted model, on plain asyncio: about 0.1 ms a request, and faults at any byte."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

_LARGEST_HEAD = 64 * 1024
_LARGEST_BODY = 8 * 1024 * 1024
_REASONS = {
    200: "OK",
    302: "Found",
    308: "Permanent Redirect",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    413: "Content Too Large",
    429: "Too Many Requests",
}

Handler = Callable[["Exchange"], Awaitable[None]]


class Exchange:
    """One request, and the connection for its response."""

    __slots__ = ("body", "connection", "gone", "headers", "keep", "method", "path", "query")

    def __init__(self, connection: Connection, method: str, target: str, headers: dict[str, str], body: bytes) -> None:
        self.connection = connection
        self.method = method
        #: Names are in lower case.
        self.headers = headers
        self.path, _, self.query = target.partition("?")
        self.body = body
        self.keep = True
        #: Set when the client has gone away.
        self.gone = False

    def json(self, status: int, value: Any) -> None:
        """Send a whole JSON response."""
        self.whole(status, msgspec.json.encode(value), "application/json")

    def whole(self, status: int, body: bytes, content_type: str, extra: str = "") -> None:
        """Send a whole response."""
        head = f"HTTP/1.1 {status} {_REASONS.get(status, 'Error')}\r\ncontent-type: {content_type}\r\ncontent-length: {len(body)}\r\n{extra}\r\n"
        self.write(head.encode() + body)

    def write(self, data: bytes) -> None:
        """Send raw bytes."""
        if not self.gone:
            self.connection.transport.write(data)

    def chunk(self, data: bytes) -> None:
        """Send one chunk of a chunked response."""
        self.write(b"%x\r\n%s\r\n" % (len(data), data))

    def cut(self) -> None:
        """Close the connection, whether the response is finished or not."""
        self.keep = False
        if not self.gone:
            self.connection.transport.close()


class Connection(asyncio.Protocol):
    """One connection: requests one after the other, each answered by the handler."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._bytes = bytearray()
        self._exchange: Exchange | None = None
        self._task: asyncio.Task[None] | None = None
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport for the response."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Collect a request, and start it if none is running."""
        self._bytes += data
        if self._exchange is None:
            self._next()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """End the running request, since nobody waits for it."""
        if self._exchange is not None:
            self._exchange.gone = True
        if self._task is not None:
            self._task.cancel()

    def _next(self) -> None:
        """Start the next request when it is complete."""
        end = self._bytes.find(b"\r\n\r\n")
        if end < 0:
            if len(self._bytes) > _LARGEST_HEAD:
                self._refuse(400)
            return
        lines = bytes(self._bytes[:end]).decode("latin-1").split("\r\n")
        headers: dict[str, str] = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        if "transfer-encoding" in headers:
            self._refuse(400)
            return
        declared = headers.get("content-length", "")
        length = int(declared) if declared.isdigit() else 0
        if length > _LARGEST_BODY:
            self._refuse(413)
            return
        start = end + 4
        if len(self._bytes) < start + length:
            return
        body = bytes(self._bytes[start : start + length])
        del self._bytes[: start + length]
        parts = lines[0].split(" ")
        if len(parts) != 3:
            self._refuse(400)
            return
        self._exchange = Exchange(self, parts[0], parts[1], headers, body)
        self._task = asyncio.get_running_loop().create_task(self._run(self._exchange))

    async def _run(self, exchange: Exchange) -> None:
        await self._handler(exchange)
        self._exchange = self._task = None
        if exchange.keep and not self.transport.is_closing() and self._bytes:
            self._next()

    def _refuse(self, status: int) -> None:
        self.transport.write(f"HTTP/1.1 {status} {_REASONS[status]}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
        self.transport.close()
