"""A lean HTTP client for webhooks: kept-alive connections per origin, a total deadline, redirects never followed.

A load bench makes hundreds of status webhooks a second, and their cost must not be what the bench measures.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import cast
from urllib.parse import urlsplit

import httptools

#: The longest time of one webhook, in seconds; the platform does not wait longer.
_DEADLINE_S = 10.0
#: Connections to one origin at the same time.
_WIDTH = 64


class _Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._body = bytearray()
        self.alive = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not inherit from asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self.alive = True

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(ConnectionError(f"not HTTP: {type(error).__name__}"))

    def on_body(self, body: bytes) -> None:
        if len(self._body) < 65536:
            self._body += body

    def on_message_complete(self) -> None:
        self.alive = self.alive and self._parser.should_keep_alive()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((self._parser.get_status_code(), bytes(self._body)))

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(exc or ConnectionError("closed without an answer"))

    def _fail(self, error: Exception) -> None:
        self.alive = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
        self.close()

    def close(self) -> None:
        self.alive = False
        if self._transport is not None:
            self._transport.close()

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        assert self._transport is not None
        self._parser = httptools.HttpResponseParser(self)
        self._body.clear()
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer


class Poster:
    """Sends requests and returns the HTTP status, 0 when there was none."""

    def __init__(self) -> None:
        self._idle: dict[tuple[str, str, int], list[_Connection]] = {}
        self._room: dict[tuple[str, str, int], asyncio.Semaphore] = {}
        self._tls: ssl.SSLContext | None = None

    async def post(self, url: str, body: bytes, headers: dict[str, str]) -> int:
        """Post a JSON body and return the HTTP status."""
        status, _ = await self._ask("POST", url, body, {"content-type": "application/json", **headers})
        return status

    async def get(self, url: str) -> tuple[int, bytes]:
        """Get an address and return the HTTP status and the body."""
        return await self._ask("GET", url, b"", {})

    async def _ask(self, method: str, url: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        parts = urlsplit(url)
        origin = (parts.scheme, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        lines = [f"{method} {target} HTTP/1.1", f"host: {parts.netloc.rpartition('@')[2]}", "user-agent: facebookexternalua"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if method == "POST":
            lines.append(f"content-length: {len(body)}")
        request = "\r\n".join([*lines, "", ""]).encode("latin-1") + body
        async with self._room.setdefault(origin, asyncio.Semaphore(_WIDTH)):
            try:
                async with asyncio.timeout(_DEADLINE_S):
                    return await self._exchange(origin, request)
            except (OSError, TimeoutError):
                return 0, b""

    async def _exchange(self, origin: tuple[str, str, int], request: bytes) -> tuple[int, bytes]:
        idle = self._idle.setdefault(origin, [])
        while idle:
            kept = idle.pop()
            if kept.alive:
                try:
                    return await self._on(kept, idle, request)
                except OSError:  # It was closed while idle: try once on a fresh one.
                    break
        return await self._on(await self._connect(origin), idle, request)

    async def _on(self, connection: _Connection, idle: list[_Connection], request: bytes) -> tuple[int, bytes]:
        try:
            answer = await connection.ask(request)
        except BaseException:
            connection.close()
            raise
        if connection.alive:
            idle.append(connection)
        else:
            connection.close()
        return answer

    async def _connect(self, origin: tuple[str, str, int]) -> _Connection:
        scheme, host, port = origin
        if scheme == "https" and self._tls is None:
            self._tls = ssl.create_default_context()
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(_Connection, host, port, ssl=self._tls if scheme == "https" else None)
        return connection

    def close(self) -> None:
        """Close every idle connection."""
        for idle in self._idle.values():
            for connection in idle:
                connection.close()
            idle.clear()
