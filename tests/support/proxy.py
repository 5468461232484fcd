"""A TCP proxy that breaks connections on purpose: between a process and Postgres, the model or the platform.

It runs in a thread of the test. A watch holds what a client sends, or what the server replies to it, until the test decides.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Literal, Self

Mode = Literal["pass", "refuse", "blackhole", "delay", "cut", "half-close", "drip", "truncate"]

#: How a Postgres server ends its reply once the transaction is over.
POSTGRES_READY = b"Z\x00\x00\x00\x05I"
_CHUNK = 65536


class WatchTimeout(AssertionError):
    """What the watch waits for did not pass in time."""


@dataclass(eq=False)
class Watch:
    """Waits for bytes of a client, holds them (or the server's reply to them) and tells the test."""

    pattern: bytes
    #: None: hold the client's bytes. Else: let them through and hold the reply as soon as it ends with these bytes.
    reply_end: bytes | None = None
    #: Only a reply that holds these bytes counts.
    reply_has: bytes = b""
    #: How many matches are let through before one is held.
    skip: int = 0
    on_seen: Callable[[], None] | None = None
    seen: threading.Event = field(default_factory=threading.Event)
    decided: threading.Event = field(default_factory=threading.Event)
    dropped: bool = False

    def wait(self, timeout_s: float = 15.0) -> None:
        """Block until the bytes have passed by and are held. Raises WatchTimeout."""
        if not self.seen.wait(timeout_s):
            raise WatchTimeout(f"{self.pattern!r} did not pass within {timeout_s} s")

    def release(self) -> None:
        """Let the held bytes go on."""
        self.decided.set()

    def drop(self) -> None:
        """Throw the held bytes away and reset the connection."""
        self.dropped = True
        self.decided.set()

    def matches(self, data: bytes) -> bool:
        """Whether these bytes of a client are the ones to hold; counts those to skip."""
        if self.seen.is_set() or self.pattern not in data:
            return False
        if self.skip:
            self.skip -= 1
            return False
        return True

    async def hold(self) -> bool:
        """Tell the test and wait for its decision. True: go on."""
        self.seen.set()
        if self.on_seen is not None:
            self.on_seen()
        while not self.decided.is_set():  # noqa: ASYNC110 - the test decides in another thread
            await asyncio.sleep(0.005)
        return not self.dropped


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST instead of FIN."""
    sock = writer.get_extra_info("socket")
    if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError):  # closed already
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class _Cut(Exception):
    """The connection ends with a reset."""


class _Closed(Exception):
    """The connection ends in order."""


class _Pair:
    """One client's connection and its upstream."""

    def __init__(self, proxy: FaultProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.proxy, self.reader, self.writer = proxy, reader, writer
        self.up: asyncio.StreamWriter | None = None
        self.replied = 0
        self.awaiting: Watch | None = None

    async def run(self) -> None:
        try:
            if self.proxy.mode == "cut":
                raise _Cut  # noqa: TRY301 - one way to end
            if isinstance(self.proxy.upstream, str):
                up_reader, self.up = await asyncio.open_unix_connection(self.proxy.upstream)
            else:
                up_reader, self.up = await asyncio.open_connection(*self.proxy.upstream)
            await self._both(self._requests(self.reader, self.up), self._replies(up_reader, self.writer))
        except (_Cut, OSError):
            self.cut()
        except _Closed:
            pass
        finally:
            for writer in (self.writer, self.up):
                if writer is not None:
                    writer.close()

    async def _both(self, *directions: Coroutine[Any, Any, None]) -> None:
        """Run both directions until one of them ends the connection."""
        tasks = [asyncio.ensure_future(direction) for direction in directions]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def cut(self) -> None:
        """Reset both sides."""
        for writer in (self.writer, self.up):
            if writer is not None:
                _reset(writer)

    async def _read(self, reader: asyncio.StreamReader) -> bytes:
        data = await reader.read(_CHUNK)
        while self.proxy.mode == "blackhole":  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
        if self.proxy.mode == "cut":
            raise _Cut
        if self.proxy.mode == "delay":
            await asyncio.sleep(self.proxy.delay_s)
        return data

    async def _requests(self, reader: asyncio.StreamReader, up: asyncio.StreamWriter) -> None:
        tail = b""
        while data := await self._read(reader):
            for watch in list(self.proxy.watches):
                # The pattern may lie across two reads.
                if watch.matches(tail[-len(watch.pattern) + 1 :] + data if len(watch.pattern) > 1 else data):
                    if watch.reply_end is not None:
                        self.awaiting = watch
                    elif not await watch.hold():
                        raise _Cut
            tail = data
            up.write(data)
            await up.drain()
        if up.can_write_eof():
            up.write_eof()

    async def _replies(self, reader: asyncio.StreamReader, down: asyncio.StreamWriter) -> None:
        reply = b""
        while data := await self._read(reader):
            watch = self.awaiting
            if watch is not None and watch.reply_end is not None:
                reply += data
                if reply.endswith(watch.reply_end):
                    self.awaiting = None
                    if watch.reply_has in reply and not watch.seen.is_set() and not await watch.hold():
                        raise _Cut
                    reply = b""
            mode, limit = self.proxy.mode, self.proxy.limit
            if mode == "half-close":
                if down.can_write_eof():
                    down.write_eof()
                return
            if mode == "truncate" and self.replied + len(data) >= limit:
                down.write(data[: max(0, limit - self.replied)])
                await down.drain()
                await asyncio.sleep(0.05)
                raise _Cut
            self.replied += len(data)
            for piece in [bytes([byte]) for byte in data] if mode == "drip" else [data]:
                down.write(piece)
                await down.drain()
                if mode == "drip":
                    await asyncio.sleep(self.proxy.delay_s)
        # The server has closed: end the connection in order.
        down.write_eof()
        raise _Closed


class FaultProxy:
    """A listener on a loopback port before `upstream`: a socket's path, or (host, port)."""

    def __init__(self, upstream: str | tuple[str, int]) -> None:
        self.upstream = upstream
        self.mode: Mode = "pass"
        self.delay_s = 0.0
        #: With "truncate": bytes of the reply that a connection lets through.
        self.limit = 0
        self.watches: list[Watch] = []
        self.connections = 0
        self.port = 0
        self._pairs: dict[_Pair, asyncio.Task[None]] = {}
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="fault-proxy")

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        for watch in self.watches:
            watch.drop()
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def set(self, mode: Mode, *, delay_s: float = 0.0, limit: int = 0) -> None:
        """Change what happens from now on, also to open connections."""
        self.delay_s, self.limit = delay_s, limit
        self._do(self._change(mode))

    def hold(self, pattern: bytes, *, on_seen: Callable[[], None] | None = None, skip: int = 0) -> Watch:
        """Hold the next bytes of a client that contain the pattern, before they reach the server."""
        return self._watch(Watch(pattern, on_seen=on_seen, skip=skip))

    def hold_reply(self, pattern: bytes, *, end: bytes = POSTGRES_READY, has: bytes = b"", skip: int = 0) -> Watch:
        """Let such bytes through and hold the server's reply to them once it ends with `end`."""
        return self._watch(Watch(pattern, reply_end=end, reply_has=has, skip=skip))

    def _watch(self, watch: Watch) -> Watch:
        self.watches.append(watch)
        return watch

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _change(self, mode: Mode) -> None:
        self.mode = mode
        if mode == "refuse":
            await self._stop_listening()
        if mode in ("cut", "refuse"):
            for pair in list(self._pairs):
                pair.cut()
        if mode != "refuse" and self._server is None:
            await self._listen()

    async def _stop_listening(self) -> None:
        server, self._server = self._server, None
        if server is None:
            return
        for listener in server.sockets:
            self._loop.remove_reader(listener.fileno())
        # A server that is closed takes no connection that it has just accepted, and leaves its socket open.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        server.close()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        pair = _Pair(self, reader, writer)
        running = self._pairs[pair] = self._loop.create_task(pair.run())
        running.add_done_callback(lambda _: self._pairs.pop(pair, None))

    async def _end(self) -> None:
        self.mode = "cut"
        await self._stop_listening()
        # What is just being accepted is left to begin: a task that is cancelled before its first step closes nothing.
        while others := [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]:
            for pair, running in list(self._pairs.items()):
                pair.cut()
                running.cancel()
            await asyncio.wait(others, timeout=0.05)
        # Sockets are closed in a step of their own.
        await asyncio.sleep(0)
