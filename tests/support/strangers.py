"""Strangers: each takes something of a web server for a while, over loopback. `python -m tests.support.strangers ATTACK PORT SECONDS`."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import resource
import socket
import struct
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable

from tests.support import build

#: (port, end): runs until then.
Attack = Callable[[int, float], Awaitable[None]]

HOOK = "/webhooks/whatsapp/test"
_LOST = (OSError, asyncio.IncompleteReadError)
_PIECE = b"a" * 65536


async def _each(count: int, one: Callable[[int, float], Awaitable[None]], port: int, end: float) -> None:
    """Let so many strangers do the same, each again and again whenever it is sent away, until the end."""

    async def again() -> None:
        while time.monotonic() < end:
            with contextlib.suppress(*_LOST, TimeoutError):
                async with asyncio.timeout_at(asyncio.get_running_loop().time() + max(0.01, end - time.monotonic())):
                    await one(port, end)
            await asyncio.sleep(0.01)

    await asyncio.gather(*(again() for _ in range(count)))


@contextlib.asynccontextmanager
async def _open(port: int) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter], None]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        # Without the wait that an orderly close takes.
        writer.transport.abort()


def _head(path: str = HOOK, *lines: str, method: str = "POST") -> bytes:
    return "".join(f"{line}\r\n" for line in (f"{method} {path} HTTP/1.1", "Host: chinwag.test", *lines, "")).encode()


async def _until_closed(reader: asyncio.StreamReader) -> None:
    while await reader.read(65536):
        pass


async def _endless_header(port: int, end: float) -> None:
    async with _open(port) as (_, writer):
        writer.write(b"POST / HTTP/1.1\r\nA: ")
        while time.monotonic() < end:
            writer.write(_PIECE)
            await writer.drain()


async def _endless_headers(port: int, end: float) -> None:
    async with _open(port) as (_, writer):
        writer.write(b"POST / HTTP/1.1\r\n")
        while time.monotonic() < end:
            writer.write(b"A: b\r\n" * 10000)
            await writer.drain()


async def _silent(port: int, _end: float) -> None:
    async with _open(port) as (reader, _):
        await _until_closed(reader)


async def _slow_head(port: int, end: float) -> None:
    async with _open(port) as (reader, writer):
        for byte in _head() * 100:
            if time.monotonic() > end or reader.at_eof():
                return
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.5)


async def _slow_body(port: int, end: float) -> None:
    async with _open(port) as (reader, writer):
        writer.write(_head(HOOK, "Content-Length: 3000"))
        while time.monotonic() < end and not reader.at_eof():
            writer.write(b"a")
            await writer.drain()
            await asyncio.sleep(0.5)


async def _slow_chunks(port: int, end: float) -> None:
    async with _open(port) as (reader, writer):
        writer.write(_head(HOOK, "Transfer-Encoding: chunked"))
        while time.monotonic() < end and not reader.at_eof():
            writer.write(b"1\r\na\r\n")
            await writer.drain()
            await asyncio.sleep(0.2)


async def _large_unfinished(port: int, _end: float) -> None:
    async with _open(port) as (reader, writer):
        writer.write(_head(HOOK, f"Content-Length: {4 * 1024 * 1024}"))
        for _ in range(63):
            writer.write(_PIECE)
            await writer.drain()
        await _until_closed(reader)


async def _expecting(port: int, _end: float) -> None:
    async with _open(port) as (reader, writer):
        writer.write(_head(HOOK, "Content-Length: 3000", "Expect: 100-continue"))
        await _until_closed(reader)


async def _not_reading(port: int, end: float) -> None:
    """Ask for the largest file that anybody may have, and never read it."""
    _reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    try:
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for _ in range(200):
            writer.write(_head("/static/admin.css", method="GET"))
        await asyncio.sleep(min(3.0, max(0.0, end - time.monotonic())))
    finally:
        writer.transport.abort()


async def _pipelining(port: int, end: float) -> None:
    async with _open(port) as (reader, writer):
        while time.monotonic() < end and not reader.at_eof():
            writer.write(_head("/livez", method="GET") * 5000)
            await writer.drain()
            await asyncio.sleep(0)


async def _dripping(port: int, end: float) -> None:
    """A head byte by byte, as fast as the machine lets so many."""
    async with _open(port) as (reader, writer):
        for byte in _head() * 20:
            if time.monotonic() > end or reader.at_eof():
                return
            writer.write(bytes([byte]))
            await asyncio.sleep(0.05)


async def _tiny_chunks(port: int, end: float) -> None:
    """A body in pieces of one byte, as fast as it is taken."""
    async with _open(port) as (reader, writer):
        writer.write(_head(HOOK, "Transfer-Encoding: chunked"))
        while time.monotonic() < end and not reader.at_eof():
            writer.write(b"1\r\na\r\n" * 10000)
            await writer.drain()


async def _resetting(port: int, _end: float) -> None:
    """Connect, send the beginning of a request, and reset the connection."""
    async with _open(port) as (_, writer):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.write(_head(HOOK, "Content-Length: 3000"))


def _sending(request: bytes) -> Callable[[int, float], Awaitable[None]]:
    """Send a request on a connection of its own, and read what comes."""

    async def send(port: int, _end: float) -> None:
        async with _open(port) as (reader, writer):
            writer.write(request)
            await _until_closed(reader)

    return send


def _asking(*requests: bytes) -> Callable[[int, float], Awaitable[None]]:
    """Ask one after another on a connection, as fast as the answers come."""
    turns = itertools.cycle(requests)

    async def ask(port: int, end: float) -> None:
        async with _open(port) as (reader, writer):
            while time.monotonic() < end:
                writer.write(next(turns))
                head = await reader.readuntil(b"\r\n\r\n")
                length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
                await reader.readexactly(int(length or 0))

    return ask


async def _churning(port: int, _end: float) -> None:
    async with _open(port):
        pass


def _forged(path: str, *lines: str, size: int = 0) -> bytes:
    body = build.a_webhook(messages=[build.a_text(build.a_person(), "hello")], people=[]).ljust(size)
    return _head(path, f"Content-Length: {len(body)}", f"X-Hub-Signature-256: sha256={'0' * 64}", *lines) + body


def _many(count: int, one: Callable[[int, float], Awaitable[None]]) -> Attack:
    return lambda port, end: _each(count, one, port, end)


ATTACKS: dict[str, Attack] = {
    "endless header": _many(1, _endless_header),
    "endless headers": _many(4, _endless_headers),
    "idle sockets": _many(1100, _silent),
    "slow heads": _many(300, _slow_head),
    "slow bodies": _many(70, _slow_body),
    "slow chunks": _many(70, _slow_chunks),
    "large bodies, unfinished": _many(70, _large_unfinished),
    "expecting 100": _many(300, _expecting),
    "not reading": _many(200, _not_reading),
    "pipelining": _many(8, _pipelining),
    "forged": _many(16, _asking(_forged(HOOK))),
    "guessed names": _many(16, _asking(*(_forged(f"/webhooks/whatsapp/nobody-{n}") for n in range(3000)))),
    "handshakes": _many(16, _asking(*(_head(f"/webhooks/whatsapp/nobody-{n}?hub.mode=subscribe", method="GET") for n in range(3000)))),
    "health": _many(16, _asking(_head("/readyz", method="GET"))),
    "churning": _many(8, _churning),
    "dripped heads": _many(500, _dripping),
    "tiny chunks": _many(16, _tiny_chunks),
    "resetting": _many(64, _resetting),
    "forged, large": _many(16, _asking(_forged(HOOK, size=1024 * 1024))),
    "forged, each anew": _many(32, _sending(_forged(HOOK, "Connection: close"))),
    "keeping connections": _many(1100, _sending(_head("/livez", method="GET"))),
    "long queries": _many(16, _asking(*(_head(f"{path}?{'a=b&' * 2000}", method="GET") for path in ("/nothing", "/admin/sign-in", HOOK)))),
    "pages": _many(16, _asking(*(_head(path, method="GET") for path in ("/admin/sign-in", "/", "/static/admin.css")))),
    "TLS": _many(32, _sending(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500))),
    "HTTP/2": _many(32, _sending(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9))),
}


def main() -> None:
    """Run one attack."""
    name, port, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    # What cannot be sent any more is what an attack is about.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(ATTACKS[name](port, time.monotonic() + seconds))


if __name__ == "__main__":
    main()
