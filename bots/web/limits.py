"""What a request may cost: the size of a body and the time to send it, how many at once and after another, how many wrong sign-ins.

What a connection may cost before it is a request: bots.web.serving.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

from starlette.requests import ClientDisconnect, Request

#: A platform sends a body within milliseconds; a peer that sends slowly is disconnected.
BODY_DEADLINE_S = 10.0


class TooLarge(Exception):
    """The body is larger than the cap."""


class TooSlow(Exception):
    """The body did not arrive in time, or the peer disconnected."""


class Full(Exception):
    """As many requests as allowed are being handled."""


async def read_body(request: Request, *, max_bytes: int, deadline_s: float = BODY_DEADLINE_S) -> bytes:
    """Read the body piece by piece and stop at the cap. Raises TooLarge or TooSlow."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > max_bytes:
        raise TooLarge
    body = bytearray()
    try:
        async with asyncio.timeout(deadline_s):
            async for piece in request.stream():
                body += piece
                if len(body) > max_bytes:
                    raise TooLarge
    except (TimeoutError, ClientDisconnect) as error:
        raise TooSlow from error
    return bytes(body)


class Gate:
    """Allows a number of requests at once and refuses the others."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.inside = 0

    @contextmanager
    def entered(self) -> Generator[None, None, None]:
        """Hold one place. Raises Full when there is none."""
        if self.inside >= self._limit:
            raise Full
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1


class Turns:
    """Lets a few at once, the others in their order after them, and refuses whoever would wait too long or among too many."""

    def __init__(self, size: int, *, most_waiting: int, longest_s: float) -> None:
        self._turns, self._most_waiting, self._longest_s = asyncio.Semaphore(size), most_waiting, longest_s
        self._waiting = 0

    @property
    def is_busy(self) -> bool:
        """Whether one more would have to wait."""
        return self._turns.locked()

    @asynccontextmanager
    async def taken(self) -> AsyncGenerator[None]:
        """Wait for a turn and hold it. Raises Full."""
        if self._turns.locked() and self._waiting >= self._most_waiting:
            raise Full
        self._waiting += 1
        try:
            async with asyncio.timeout(self._longest_s):
                await self._turns.acquire()
        except TimeoutError as error:
            raise Full from error
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._turns.release()


class Bucket:
    """A number of failed tries in a period, then none until it has passed."""

    def __init__(self, *, tries: int, per_s: float) -> None:
        self._tries, self._per_s = tries, per_s
        self._wrong: list[float] = []

    @property
    def is_empty(self) -> bool:
        """Whether no try is left for now."""
        since = time.monotonic() - self._per_s
        self._wrong = [at for at in self._wrong if at > since]
        return len(self._wrong) >= self._tries

    def take(self) -> None:
        """Count one failed try."""
        self._wrong.append(time.monotonic())

    def give_back(self) -> None:
        """Take back the newest count: the try did not fail."""
        if self._wrong:
            self._wrong.pop()
