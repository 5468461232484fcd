"""An HTTP/1.1 transport for httpx, for one thread's client: a socket, a C parser, and reads that end at the deadline.

httpx's own transport parses in Python: 0.9 ms of CPU a call where this takes 0.3, and a turn makes three calls (docs/decisions).
"""

from __future__ import annotations

import math
import select
import socket
import ssl
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import httptools
import httpx

from wire.deadline import Deadline
from wire.listener import Take, listener
from wire.response import Response

_PIECE = 64 * 1024
#: No platform or model server answers with larger headers.
_MOST_HEADER_BYTES = 64 * 1024

#: A socket's family and the address to connect it to, as getaddrinfo gives them.
Address = tuple[socket.AddressFamily, tuple[Any, ...]]
#: Asked in the listener's thread once the head of a response is there: what takes its body in that thread, or None where its caller reads it.
Hear = Callable[[Response], Take | None]


@cache
def shared_ssl_context() -> ssl.SSLContext:
    """Return the process's one SSL context: with a context each, 256 clients cost 5.2 s of CPU and 211 MB; with one for all, 0.05 s."""
    return ssl.create_default_context()


def look_up(host: str, port: int) -> list[Address]:
    """Return a host's addresses. Raises httpx.ConnectError when its name is not known."""
    try:
        return [(found[0], found[4]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError) as error:
        raise httpx.ConnectError("the host's name is not known") from error


class _Reader:
    """One response as the parser reports it."""

    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.status = 0
        self.has_head = False
        self.is_complete = False
        self.keeps_alive = False
        #: Whether the headers say where the body ends; otherwise it ends with the connection.
        self.is_delimited = False
        self.pieces: list[bytes] = []
        #: What was wrong behind the headers, where that came in the same read as they: it is raised once the body up to it was read.
        self.fault: httpx.RemoteProtocolError | None = None
        self._header_bytes = 0
        #: httptools ships no types.
        self.parser: Any = httptools.HttpResponseParser(self)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > _MOST_HEADER_BYTES:
            raise httpx.RemoteProtocolError("the headers are larger than allowed")
        self.headers.append((name, value))
        if name.lower() in (b"content-length", b"transfer-encoding"):
            self.is_delimited = True

    def on_headers_complete(self) -> None:
        self.status = self.parser.get_status_code()
        self.has_head = self.status >= 200

    def on_body(self, body: bytes) -> None:
        self.pieces.append(body)

    def on_message_complete(self) -> None:
        if self.status < 200:
            # 100 Continue and other interim answers: the real one is still to come.
            self.headers, self.is_delimited = [], False
            return
        self.is_complete = True
        self.keeps_alive = self.parser.should_keep_alive()

    def body(self) -> bytes:
        """What has come of the body and was not taken yet: many chunks come in one read, and whoever takes them has work for each."""
        pieces, self.pieces = self.pieces, []
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def feed(self, data: bytes) -> None:
        """Take bytes from the socket; no bytes mean the end of the connection. Raises RemoteProtocolError."""
        if not data:
            if not self.has_head or self.is_delimited:
                raise httpx.RemoteProtocolError("the server closed the connection before its answer was complete")
            self.is_complete, self.keeps_alive = True, False
            return
        if self.is_complete:
            self.keeps_alive = False
            return
        try:
            self.parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if self.is_complete:
                # More bytes than the headers announce: the answer is whole all the same.
                self.keeps_alive = False
                return
            cause = error.__context__
            if isinstance(cause, httpx.RemoteProtocolError):
                raise cause from error
            raise httpx.RemoteProtocolError("the answer is not HTTP/1.1") from error


class _Connection:
    """A socket to one server. It never blocks: each wait is one poll, where a socket with a timeout of its own makes three system calls."""

    def __init__(self, sock: socket.socket, origin: tuple[str, str, int], deadline: Deadline) -> None:
        self.sock, self.origin, self.deadline = sock, origin, deadline
        self.idle_since = 0.0
        sock.settimeout(0)
        self._incoming = select.poll()
        self._incoming.register(sock, select.POLLIN)

    def send(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            self.deadline.left(httpx.WriteTimeout)
            try:
                left = left[self.sock.send(left) :]
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError) as full:
                is_reading = isinstance(full, ssl.SSLWantReadError)
                self._wait(
                    self._incoming if is_reading else self._outgoing(), httpx.WriteTimeout, "the request could not be written in time"
                )
            except OSError as error:
                raise httpx.WriteError(type(error).__name__) from error

    def receive(self) -> bytes:
        while True:
            if not self.is_pending():
                self._wait(self._incoming, httpx.ReadTimeout, "the answer did not come in time")
            try:
                return self.sock.recv(_PIECE)
            except (BlockingIOError, ssl.SSLWantReadError):
                # A part of a TLS record, or nothing after all.
                continue
            except ssl.SSLWantWriteError:
                self._wait(self._outgoing(), httpx.ReadTimeout, "the answer did not come in time")
            except OSError as error:
                raise httpx.ReadError(type(error).__name__) from error

    def is_pending(self) -> bool:
        """Whether bytes that came in are still with TLS, where no poll sees them."""
        return isinstance(self.sock, ssl.SSLSocket) and self.sock.pending() > 0

    def is_stale(self, keep_s: float) -> bool:
        """Whether the server has closed it meanwhile, or may do so soon."""
        return time.monotonic() - self.idle_since > keep_s or bool(self._incoming.poll(0))

    def _wait(self, poll: select.poll, late: type[httpx.TimeoutException], words: str) -> None:
        if not poll.poll(math.ceil(self.deadline.left(late) * 1000)):
            raise late(words)

    def _outgoing(self) -> select.poll:
        outgoing = select.poll()
        outgoing.register(self.sock, select.POLLOUT)
        return outgoing


class _Kept:
    """The connection that is kept for the next call, if one is."""

    def __init__(self) -> None:
        self.connection: _Connection | None = None

    def close(self) -> None:
        taken, self.connection = self.connection, None
        if taken is not None:
            taken.sock.close()


class Body(httpx.SyncByteStream):
    """The rest of a response; closing it early drops the connection, which frees the server's slot."""

    def __init__(self, owner: DeadlineTransport, connection: _Connection, reader: _Reader) -> None:
        self._owner, self._connection, self._reader = owner, connection, reader
        self._is_open = True
        #: What ended the hearing of a body whose head had come: its reader gets it.
        self._broke: httpx.TransportError | None = None

    def __iter__(self) -> Iterator[bytes]:
        reader = self._reader
        self._raise()
        while True:
            if reader.pieces:
                yield reader.body()
            elif reader.fault is not None:
                raise reader.fault
            elif reader.is_complete:
                return
            else:
                _feed(reader, self._connection.receive())

    def hear(self, hear: Hear) -> None:
        """Sleep until the head is there and, where `hear` says what takes the body, until that wants no more. All of it runs in the listener's thread.

        Raises what these raise, and what a connection that ends before the head does; behind it, that is raised where the body is read.
        """
        reader, connection = self._reader, self._connection
        take: Take | None = None

        def received(data: bytes) -> bool:
            nonlocal take
            _feed(reader, data)
            if not reader.has_head:
                return True
            if take is None:
                take = hear(Response(reader.status, reader.headers, self))
            return take is not None and self._give(take)

        try:
            listener().hear(connection.sock, received, connection.deadline)
        except httpx.TransportError as error:
            if not reader.has_head:
                raise
            self._broke = error

    def listen(self, take: Take) -> None:
        """Give the body as it comes to `take`, in the listener's thread, until it wants no more; what is left is read as before.

        The caller sleeps meanwhile. Raises what `take` raises, and ReadTimeout or ReadError.
        """
        reader, connection = self._reader, self._connection

        def received(data: bytes) -> bool:
            _feed(reader, data)
            return self._give(take)

        if not (reader.pieces or reader.fault or reader.is_complete or connection.is_pending()):
            listener().hear(connection.sock, received, connection.deadline)

    def _give(self, take: Take) -> bool:
        """Give what has come, and return whether more is wanted."""
        reader = self._reader
        wants_more = not reader.pieces or take(reader.body())
        return wants_more and reader.fault is None and not reader.is_complete

    def _raise(self) -> None:
        broke, self._broke = self._broke, None
        if broke is not None:
            try:
                raise broke
            finally:
                # An error in a cycle with this frame would keep the connection open.
                del broke

    def close(self) -> None:
        """Read no more, and give the connection back."""
        if self._is_open:
            self._is_open = False
            self._owner.give_back(self._connection, kept=self._reader.is_complete and self._reader.keeps_alive)


class DeadlineTransport(httpx.BaseTransport):
    """A transport for one thread's client; start its deadline before each call.

    One connection is reused, for at most `keep_s` seconds: if the server closes it while we write, the outcome of the send is unknown. It is closed
    with the transport.
    """

    def __init__(
        self,
        ssl_context: ssl.SSLContext | None = None,
        *,
        keep_s: float,
        addresses: Callable[[str, int], Sequence[Address]] = look_up,
    ) -> None:
        """`addresses` returns a host's addresses: connections go there and nowhere else. The caller gets whatever it raises."""
        self.deadline = Deadline()
        self._addresses = addresses
        self._ssl = ssl_context
        self._keep_s = keep_s
        self._idle = _Kept()
        # Not __del__: of what nobody uses any more the collector may take the socket before its transport.
        weakref.finalize(self, self._idle.close).atexit = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return the response with its body unread. Raises an httpx.TransportError."""
        head = [b"%b %b HTTP/1.1" % (request.method.encode("ascii"), request.url.raw_path)]
        head += [b"%b: %b" % header for header in request.headers.raw]
        reader, body = self._exchange(_origin(request.url), _joined(head, request.read()))
        return httpx.Response(reader.status, headers=reader.headers, stream=body)

    def call(self, method: str, url: httpx.URL, headers: Mapping[str, str], content: bytes = b"", *, hear: Hear | None = None) -> Response:
        """The same without what httpx makes around it, for callers that make a call with each turn.

        hear: what takes the body in the listener's thread, if anything does. The caller then sleeps from the last byte of its request on, and wakes once.
        """
        head = [f"{method} {url.raw_path.decode('ascii')} HTTP/1.1".encode("ascii"), b"Host: " + url.netloc]
        head += [f"{name}: {value}".encode("ascii") for name, value in headers.items()]
        if content or method == "POST":
            head.append(b"Content-Length: %d" % len(content))
        reader, body = self._exchange(_origin(url), _joined(head, content), hear)
        return Response(reader.status, reader.headers, body)

    def _exchange(self, origin: tuple[str, str, int], data: bytes, hear: Hear | None = None) -> tuple[_Reader, Body]:
        """Send a request and read the head of its response."""
        connection = self._connection(origin)
        reader = _Reader()
        body = Body(self, connection, reader)
        try:
            connection.send(data)
            if hear is not None:
                body.hear(hear)
            while not reader.has_head:
                _feed(reader, connection.receive())
        except BaseException:
            connection.sock.close()
            raise
        return reader, body

    def give_back(self, connection: _Connection, *, kept: bool) -> None:
        """Keep a connection for the next call, or close it."""
        if not kept or self._idle.connection is not None:
            connection.sock.close()
            return
        connection.idle_since = time.monotonic()
        self._idle.connection = connection

    def close(self) -> None:
        """Close the connection that is kept for the next call."""
        self._idle.close()

    def _connection(self, origin: tuple[str, str, int]) -> _Connection:
        idle, self._idle.connection = self._idle.connection, None
        if idle is not None:
            if idle.origin == origin and not idle.is_stale(self._keep_s):
                return idle
            idle.sock.close()
        self.deadline.connected = True
        return _Connection(self._connect(origin), origin, self.deadline)

    def _connect(self, origin: tuple[str, str, int]) -> socket.socket:
        scheme, host, port = origin
        failure: httpx.TransportError = httpx.ConnectError("the host has no address")
        for family, address in self._addresses(host, port):
            sock = socket.socket(family, socket.SOCK_STREAM)
            try:
                sock.settimeout(min(self.deadline.connect_s, self.deadline.left(httpx.ConnectTimeout)))
                sock.connect(address)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return self._wrapped(sock, host) if scheme == "https" else sock
            except httpx.ConnectTimeout:
                sock.close()
                raise
            except TimeoutError:
                failure = httpx.ConnectTimeout("the server did not accept the connection in time")
                sock.close()
            except OSError as error:
                # ssl.SSLError is an OSError too.
                failure = httpx.ConnectError(type(error).__name__)
                sock.close()
        raise failure

    def _wrapped(self, sock: socket.socket, host: str) -> socket.socket:
        sock.settimeout(min(self.deadline.connect_s, self.deadline.left(httpx.ConnectTimeout)))
        return (self._ssl or shared_ssl_context()).wrap_socket(sock, server_hostname=host)


def _feed(reader: _Reader, data: bytes) -> None:
    """Feed bytes; a fault behind the headers is kept for the body: what came before it, perhaps in the same read, came all the same."""
    try:
        reader.feed(data)
    except httpx.RemoteProtocolError as error:
        if not reader.has_head:
            raise
        reader.fault = error


def _origin(url: httpx.URL) -> tuple[str, str, int]:
    if url.scheme not in ("http", "https"):
        raise httpx.UnsupportedProtocol(f"{url.scheme} is neither http nor https")
    return url.scheme, url.host, url.port or (443 if url.scheme == "https" else 80)


def _joined(head: list[bytes], content: bytes) -> bytes:
    """The request as bytes. Raises LocalProtocolError when a header contains a line break."""
    if any(b"\r" in line or b"\n" in line for line in head):
        raise httpx.LocalProtocolError("a header contains a line break")
    return b"\r\n".join((*head, b"", content))
