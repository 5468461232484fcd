"""What stands between a connection's protocol and its socket: a buffer that all share, a reader that can be held back, and an end with time to read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from uvicorn.protocols.http.flow_control import FlowControl


class Reader(Protocol):
    """A protocol that is handed pieces of a buffer, which it may not keep."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        """See asyncio.BaseProtocol."""
        ...

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.BaseProtocol."""
        ...

    def received(self, data: memoryview) -> None:
        """Read these bytes."""
        ...

    def eof_received(self) -> None:
        """See asyncio.BufferedProtocol."""
        ...

    def pause_writing(self) -> None:
        """See asyncio.BaseProtocol."""
        ...

    def resume_writing(self) -> None:
        """See asyncio.BaseProtocol."""
        ...


class Reads(asyncio.BufferedProtocol):
    """Reads into one buffer for all connections, as much at once as it holds; the rest stays with the kernel, which makes the peer wait.

    A class of its own: uvloop reads 256 kB at once for whatever is an asyncio.Protocol as well.
    """

    def __init__(self, reader: Reader, buffer: memoryview) -> None:
        self._reader, self._buffer = reader, buffer
        self.connection_made = reader.connection_made  # type: ignore[method-assign, assignment]
        self.connection_lost = reader.connection_lost
        self.eof_received = reader.eof_received
        self.pause_writing = reader.pause_writing
        self.resume_writing = reader.resume_writing

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - the interface's
        """Where the next bytes go."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Hand them on."""
        self._reader.received(self._buffer[:nbytes])


class Transport:
    """A transport of which uvicorn's protocol uses these parts; it is closed by the connection."""

    def __init__(self, real: asyncio.Transport, leave: Callable[[], None], is_leaving: Callable[[], bool]) -> None:
        self._real, self._is_leaving = real, is_leaving
        self.close = leave
        self.write = real.write
        self.get_extra_info: Callable[..., Any] = real.get_extra_info

    def is_closing(self) -> bool:
        """Whether nothing more will be sent."""
        return self._is_leaving() or self._real.is_closing()


class Flow(FlowControl):
    """uvicorn's, which can be held back for want of memory."""

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__(transport)
        self.is_held_back = False

    def resume_reading(self) -> None:
        """Read on, unless it is held back."""
        if not self.is_held_back:
            super().resume_reading()

    def hold_back(self) -> None:
        """Read no more until it is let go, whoever asks."""
        self.is_held_back = True
        self.pause_reading()

    def let_go(self) -> None:
        """Read on."""
        self.is_held_back = False
        self.resume_reading()
