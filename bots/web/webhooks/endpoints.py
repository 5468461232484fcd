"""The webhook endpoints. Cap -> verify -> parse -> store -> 200; a 200 means that the body is in Postgres.

The platform repeats a webhook for days until it gets a 200. So signed webhooks that are not understood are answered with 200, too.
"""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from bots.channels.by_kind import PARSERS
from bots.domain import ChannelKind
from bots.errors import StorageUnavailable
from bots.web.limits import Full, Gate, TooLarge, TooSlow, Turns, read_body
from bots.web.thread_pool import ThreadPool
from bots.web.webhooks.intake import Intake, Verdict, WebhookAccount

_LATER = {"Retry-After": "2"}
#: Larger bodies take seconds and have few of the threads, so that others need not wait for them.
_LARGE_BYTES = 64 * 1024
_LARGE_SHARE = 4
#: Names that are nobody's, and handshakes, have as few: whoever guesses must not keep the threads from those who know.
_GUESSES_SHARE = 4
#: How long these wait for their turn, and how many; the platform repeats a webhook later.
_LONGEST_WAIT_S = 5.0
_MOST_WAITING = 64


class Webhooks:
    """The webhook endpoints of one process."""

    def __init__(self, *, intake: Intake, threads: ThreadPool, max_body_bytes: int, max_concurrent: int) -> None:
        self._intake, self._threads, self._max_body_bytes = intake, threads, max_body_bytes
        self._gate = Gate(max_concurrent)
        self._large = Turns(max(1, threads.size // _LARGE_SHARE), most_waiting=_MOST_WAITING, longest_s=_LONGEST_WAIT_S)
        self._guesses = Turns(max(1, threads.size // _GUESSES_SHARE), most_waiting=_MOST_WAITING, longest_s=_LONGEST_WAIT_S)
        self.routes: list[Route] = []
        for channel in PARSERS:
            path = f"/webhooks/{channel.value}/{{account}}"
            shake_hands, take = partial(self.shake_hands, channel), partial(self.take, channel)
            self.routes += [Route(path, shake_hands, methods=["GET"]), Route(path, take, methods=["POST"])]

    async def shake_hands(self, channel: ChannelKind, request: Request) -> Response:
        """Answer the handshake, by which the platform checks that this URL is ours."""
        try:
            async with self._guesses.taken():
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
        name = request.path_params["account"]
        try:
            body = await read_body(request, max_bytes=self._max_body_bytes)
            headers = {name.lower(): value for name, value in request.headers.items()}
            async with nullcontext() if len(body) <= _LARGE_BYTES else self._large.taken():
                verdict = await self._take(channel, name, headers, body)
        except (Full, StorageUnavailable):
            return _plain(503, _LATER)
        except TooLarge:
            return _plain(413, {"Connection": "close"})
        except TooSlow:
            return _plain(408, {"Connection": "close"})
        return _plain(verdict, _LATER if verdict is Verdict.UNAVAILABLE else None)

    async def _take(self, channel: ChannelKind, name: str, headers: dict[str, str], body: bytes) -> Verdict:
        """Store a body if it is signed: only then does it count among those that are handled. Raises Full, StorageUnavailable."""
        intake = self._intake
        found = await self._find(channel, name)
        if found is None:
            return Verdict.NO_ACCOUNT
        is_signed = partial(intake.is_signed, found, headers, body)
        if not (is_signed() if len(body) <= _LARGE_BYTES else await self._threads.run(is_signed)):
            if not self._guesses.is_busy:
                async with self._guesses.taken():
                    await self._threads.run(partial(intake.refuse, found, headers, body))
            return Verdict.FORGED
        with self._gate.entered():
            return await self._threads.run(partial(intake.store, found, headers, body))

    async def _find(self, channel: ChannelKind, name: str) -> WebhookAccount | None:
        known = self._intake.known(channel, name)
        if known is not None:
            return known[0]
        find = partial(self._intake.find, channel, name)
        async with nullcontext() if self._intake.is_account(channel, name) else self._guesses.taken():
            return await self._threads.run(find)


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
