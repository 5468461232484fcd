"""The web's server: uvicorn on a socket that may outlive it. At a stop requests under way are finished, and at a restart none is refused."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from collections.abc import Callable, Sequence
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING

import structlog
import uvicorn

from bots.web.serving.connections import Connections, Slot
from bots.web.serving.listener import Acceptor
from bots.web.serving.protocol import HttpConnection
from bots.web.serving.schedule import Schedule
from bots.web.serving.sources import Sources
from bots.web.serving.transport import READ_BYTES, Reads

if TYPE_CHECKING:
    from starlette.types import ASGIApp

log = structlog.get_logger()

#: Time for what is running when a stop begins.
_GRACE_S = 5
#: uvicorn's ticks, of which there are ten a second.
_SWEEP_TICKS = 5


class Server(uvicorn.Server):
    """Serves an application on a listening socket."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        listener: socket.socket,
        connections: Connections,
        sources: Sources,
        let_go: Callable[[], None],
        check: Sequence[str],
    ) -> None:
        """`let_go` ends what would run for ever, at the beginning of a stop. `check` is a command that ends with 0 if a restart would succeed."""
        config = uvicorn.Config(
            app,
            loop="uvloop",
            http=HttpConnection,
            ws="none",
            interface="asgi3",
            access_log=False,
            log_config=None,
            server_header=False,
            date_header=False,
            # The chat page trusts the peer's address; nobody may write another one into a header.
            proxy_headers=False,
            timeout_graceful_shutdown=_GRACE_S,
        )
        super().__init__(config)
        self._socket, self._connections, self._sources, self._let_go = listener, connections, sources, let_go
        #: Whether it stops only to begin anew.
        self.is_restarting = False
        self._check, self._is_restart_wanted = check, False
        self._checking: subprocess.Popen[bytes] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - it has its own
        """Start the application, then listen."""
        await super().startup(sockets=[])
        buffer = memoryview(bytearray(READ_BYTES))

        schedule = Schedule(asyncio.get_running_loop().call_soon)

        def make(slot: Slot) -> Reads:
            connection = HttpConnection(
                slot,
                connections=self._connections,
                schedule=schedule,
                sources=self._sources,
                config=self.config,
                server_state=self.server_state,
                app_state=self.lifespan.state,
            )
            if self.should_exit:
                # It came too late for uvicorn to tell it.
                connection.shutdown()
            return Reads(connection, buffer)

        self._listener = Acceptor(
            self._socket,
            connections=self._connections,
            schedule=schedule,
            source=self._sources.of,
            make=make,
            known=self.server_state.connections,
        )

    async def on_tick(self, counter: int) -> bool:
        """Look after the connections."""
        if counter % _SWEEP_TICKS == 0:
            # First what has come in the meantime is read: a busy machine makes nobody else late.
            await asyncio.sleep(0)
            self._connections.sweep()
        if self._is_restart_wanted and not self.should_exit:
            self._go_on_restarting()
        return await super().on_tick(counter)

    def _go_on_restarting(self) -> None:
        """Stop for a restart once it is known that it will succeed; until then, serve."""
        if self._checking is None:
            self._checking = subprocess.Popen(self._check, stdin=subprocess.DEVNULL)  # noqa: S603 - our own command
            return
        code = self._checking.poll()
        if code is None:
            return
        self._checking, self._is_restart_wanted = None, False
        if code == 0:
            self.is_restarting = self.should_exit = True
            self._let_go()
        else:
            log.error("web_restart_given_up", code=code)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections, and end those that are open."""
        if self._checking is not None:
            self._checking.kill()
            self._checking.wait()
        self._listener.close(for_good=not self.is_restarting)
        loop = asyncio.get_running_loop()
        # What is on its way already is answered; no stranger holds up a stop.
        for after_s in range(1, _GRACE_S):
            loop.call_later(after_s, partial(self._end, stalled=after_s < _GRACE_S - 1))
        await super().shutdown(sockets)
        self._connections.end(stalled=False)
        await asyncio.sleep(0)

    def _end(self, *, stalled: bool) -> None:
        self._connections.sweep()
        self._connections.end(stalled=stalled)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Note the signal and let the pages go."""
        self._let_go()
        super().handle_exit(sig, frame)

    def handle_restart(self, _sig: int, _frame: FrameType | None) -> None:
        """Begin anew, soon. Who asks again before that asks for the same restart."""
        self._is_restart_wanted = True
