"""Runs a practice platform: prints one line when it listens, ends within a second of SIGTERM."""

from __future__ import annotations

import socket
from pathlib import Path

import uvicorn

from chinwag.practice.answers import Protocol
from chinwag.practice.calls import Versions
from chinwag.practice.graph import Graph


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, graph: Graph, address: str) -> None:
        super().__init__(config)
        self._graph = graph
        self._address = address

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        print(f"Listening on {self._address}", flush=True)  # noqa: T201

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._graph.stopping.set()
        await super().shutdown(sockets=sockets)


def serve(*, host: str, port: int, state: Path | None, versions: Versions | None = None) -> None:
    """Serve until a signal. Raises OSError when the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(1024)
        listener.setblocking(False)  # noqa: FBT003  The standard library takes it by position only.
        shown = f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{listener.getsockname()[1]}"
        graph = Graph(state, versions, address=address)
        config = uvicorn.Config(
            graph.app(),
            http=Protocol,
            ws="none",
            log_level="critical",
            access_log=False,
            server_header=False,
            # Longer than any client keeps a connection: a send must never meet a connection that is being closed.
            timeout_keep_alive=120,
            timeout_graceful_shutdown=0,
        )
        _Server(config, graph, address).run(sockets=[listener])
