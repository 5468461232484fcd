"""What a request may cost: the size of a body and the time to send it, how many at once, how many wrong sign-ins."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator
from contextlib import contextmanager

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
