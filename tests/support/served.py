"""The web's server around a small application, in this process, with bounds that a test can reach."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from starlette.types import Message, Receive, Scope, Send

from bots.web.serving.connections import Connections
from bots.web.serving.listener import listening
from bots.web.serving.protocol import HttpConnection
from bots.web.serving.server import Server
from bots.web.serving.sources import Sources
from tests.support.processes import until

#: The longest answer: more than the kernel takes for a peer that does not read.
LONG = 16 * 1024 * 1024


async def _app(scope: Scope, receive: Receive, send: Send, *, begun: list[str]) -> None:
    """Answer with the number of bytes in the body; /long with a long body; /unread without reading; /wait when its peer has gone, which begun then says."""
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({"type": f"{kind}.complete"})
            if kind == "lifespan.shutdown":
                return
    begun.append(scope["path"])
    count = 0
    if scope["path"] != "/unread":
        more = True
        while more:
            message: Message = await receive()
            if message["type"] == "http.disconnect":
                return
            count += len(message["body"])
            more = message["more_body"]
    if scope["path"] == "/wait":
        await receive()
        begun.append("/gone")
    body = b"x" * LONG if scope["path"] == "/long" else str(count).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})


@dataclass
class Served:
    """A running server."""

    port: int
    connections: Connections
    #: The paths of the requests that have begun.
    begun: list[str]
    server: Server

    def open(self) -> socket.socket:
        """Connect."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def ask(self, *pieces: bytes) -> bytes:
        """Send pieces, and read until the server ends the connection or says no more for half a second."""
        with self.open() as peer:
            with contextlib.suppress(ConnectionError):
                for piece in pieces:
                    peer.sendall(piece)
            return read(peer)

    @property
    def ahead(self) -> int:
        """How many requests wait until those before them on their connections are answered."""
        return sum(len(one.pipeline) for one in list(self.server.server_state.connections) if isinstance(one, HttpConnection))

    def count_is(self, count: int) -> None:
        """Wait until so many connections are open."""
        until(lambda: self.connections.count == count, what=f"{count} open connections")


def read(peer: socket.socket, *, quiet_s: float = 0.5) -> bytes:
    """Read until the end, or until nothing more comes."""
    peer.settimeout(quiet_s)
    found = b""
    with contextlib.suppress(TimeoutError):
        while piece := peer.recv(65536):
            found += piece
    return found


@contextlib.contextmanager
def served(*, places: int = 100, held_bytes: int = 16 * 1024 * 1024, trusted: str = "") -> Iterator[Served]:
    """Serve while the block runs."""
    listener = listening({}, "127.0.0.1", 0)
    connections = Connections(places=places, held_bytes=held_bytes)
    begun: list[str] = []
    server = Server(
        partial(_app, begun=begun), listener=listener, connections=connections, sources=Sources(trusted), let_go=lambda: None, check=()
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started, what="the server listens")
        yield Served(listener.getsockname()[1], connections, begun, server)
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()
    assert not thread.is_alive()
