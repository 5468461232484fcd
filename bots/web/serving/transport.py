"""What stands between a connection's protocol and its socket: a buffer that all share, a reader that can be held back, and an end with time to read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from uvicorn.protocols.http.flow_control import FlowControl

from bots.web.serving.connections import Slot
from bots.web.serving.schedule import Schedule

#: What is read at once; of a body no more is held here until the endpoint takes it.
READ_BYTES = 8 * 1024


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
    """uvicorn's, for a connection that reads on when its step comes, and can be held back for want of memory."""

    def __init__(self, transport: asyncio.Transport, slot: Slot, schedule: Schedule) -> None:
        super().__init__(transport)
        self._slot, self._schedule = slot, schedule
        self.is_held_back = False
        #: Whether the endpoint wants what comes, and whether a step of the schedule is on its way here.
        self.is_wanted, self._is_waiting = True, False

    def pause_reading(self) -> None:
        """Read no more until somebody asks."""
        self.is_wanted = False
        super().pause_reading()

    def resume_reading(self) -> None:
        """Read on in the connection's next step, unless it is held back."""
        self.is_wanted = True
        if self.read_paused and not self.is_held_back and not self._is_waiting:
            self._is_waiting = True
            self._schedule.step(self._slot, self._read_on)

    def next_step(self) -> None:
        """What was read was not yet a whole request: what follows is another step."""
        if not self.read_paused and not self._schedule.is_now(self._slot):
            super().pause_reading()
            self._is_waiting = True
            self._schedule.wait(self._slot, self._read_on)

    def hold_back(self) -> None:
        """Read no more until it is let go, whoever asks."""
        self.is_held_back = True
        self.pause_reading()

    def let_go(self) -> None:
        """Read on."""
        self.is_held_back = False
        self.resume_reading()

    def _read_on(self) -> bool:
        self._is_waiting = False
        if not self.is_wanted or self.is_held_back or self._transport.is_closing():
            return False
        super().resume_reading()
        return True
