"""The webhook endpoints. Cap -> verify -> parse -> store -> 200; a 200 means that the body is in Postgres.

The platform repeats a webhook for days until it gets a 200. So signed webhooks that are not understood are answered with 200, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from bots.channels.by_kind import PARSERS
from bots.domain import ChannelKind
from bots.errors import StorageUnavailable
from bots.web.limits import Full, Gate, TooLarge, TooSlow, read_body
from bots.web.thread_pool import ThreadPool
from bots.web.webhooks.intake import Intake, Verdict

_LATER = {"Retry-After": "2"}
#: Larger bodies take seconds and have few of the threads, so that others need not wait for them.
_LARGE_BYTES = 64 * 1024
_LARGE_SHARE = 4
#: How long a large body waits for its turn; the platform repeats it later.
_LARGE_WAIT_S = 5.0


class Webhooks:
    """The webhook endpoints of one process."""

    def __init__(self, *, intake: Intake, threads: ThreadPool, max_body_bytes: int, max_concurrent: int) -> None:
        self._intake, self._threads, self._max_body_bytes = intake, threads, max_body_bytes
        self._gate = Gate(max_concurrent)
        self._large = asyncio.Semaphore(max(1, threads.size // _LARGE_SHARE))
        self.routes: list[Route] = []
        for channel in PARSERS:
            path = f"/webhooks/{channel.value}/{{account}}"
            shake_hands, take = partial(self.shake_hands, channel), partial(self.take, channel)
            self.routes += [Route(path, shake_hands, methods=["GET"]), Route(path, take, methods=["POST"])]

    async def shake_hands(self, channel: ChannelKind, request: Request) -> Response:
        """Answer the handshake, by which the platform checks that this URL is ours."""
        try:
            with self._gate.entered():
                name, query = request.path_params["account"], request.query_params
                account, answer = await self._threads.run(partial(self._intake.shake_hands, channel, name, query))
        except (Full, StorageUnavailable):
            return _plain(503, _LATER)
        if account is None:
            return _plain(404)
        return _plain(403) if answer is None else PlainTextResponse(answer, headers={"Cache-Control": "no-store"})

    async def take(self, channel: ChannelKind, request: Request) -> Response:
        """Accept one signed webhook."""
        if request.headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
            return _plain(415)
        try:
            with self._gate.entered():
                body = await read_body(request, max_bytes=self._max_body_bytes)
                headers = {name.lower(): value for name, value in request.headers.items()}
                async with self._turn_of(body):
                    verdict = await self._threads.run(partial(self._intake.take, channel, request.path_params["account"], headers, body))
        except Full:
            return _plain(503, _LATER)
        except TooLarge:
            return _plain(413, {"Connection": "close"})
        except TooSlow:
            return _plain(408, {"Connection": "close"})
        return _plain(verdict, _LATER if verdict is Verdict.UNAVAILABLE else None)

    @asynccontextmanager
    async def _turn_of(self, body: bytes) -> AsyncGenerator[None]:
        """Wait for a large body's turn. Raises Full."""
        if len(body) <= _LARGE_BYTES:
            yield
            return
        try:
            async with asyncio.timeout(_LARGE_WAIT_S):
                await self._large.acquire()
        except TimeoutError as error:
            raise Full from error
        try:
            yield
        finally:
            self._large.release()


_MESSAGES = {
    200: "ok",
    401: "the signature does not match",
    403: "the verify token does not match",
    404: "there is no such account",
    408: "the body did not arrive in time",
    413: "the body is too large",
    415: "send the body without Content-Encoding",
    503: "cannot accept this now; send it again",
}


def _plain(status: int, headers: dict[str, str] | None = None) -> Response:
    return PlainTextResponse(_MESSAGES[int(status)], status_code=int(status), headers=headers)
