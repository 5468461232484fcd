"""The webhook endpoints. Cap -> verify -> parse -> store -> 200; a 200 means that the body is in Postgres.

The platform repeats a webhook for days until it gets a 200. So signed webhooks that are not understood are answered with 200, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from bots.channels.by_kind import PARSERS
from bots.domain import ChannelKind
from bots.errors import Forged, StorageUnavailable
from bots.web.limits import Full, Gate, TooLarge, TooSlow, Turns, read_body
from bots.web.serving.schedule import KNOWN
from bots.web.thread_pool import ThreadPool
from bots.web.webhooks.collector import Collector
from bots.web.webhooks.intake import Intake, Webhook, WebhookAccount
from bots.web.webhooks.lane import Lane

#: A larger body is read in a thread: it would keep the others waiting.
_AT_ONCE_BYTES = 16 * 1024
#: Names that are nobody's, and handshakes, have few of the threads: whoever guesses must not keep them from those who know.
_GUESSES_SHARE = 4
#: How long these wait for their turn, and how many; the platform repeats a webhook later.
_LONGEST_WAIT_S = 5.0
_MOST_WAITING = 64
_KINDS = {kind.value: kind for kind in PARSERS}


class Webhooks:
    """The webhook endpoints of one process."""

    def __init__(self, *, intake: Intake, lanes: Sequence[Lane], threads: ThreadPool, max_body_bytes: int, max_concurrent: int) -> None:
        self._intake, self._threads, self._max_body_bytes = intake, threads, max_body_bytes
        self._gate = Gate(max_concurrent)
        self._guesses = Turns(max(1, threads.size // _GUESSES_SHARE), most_waiting=_MOST_WAITING, longest_s=_LONGEST_WAIT_S)
        self._collector = Collector(intake=intake, lanes=lanes, threads=threads)
        self._looking: dict[tuple[ChannelKind, str], asyncio.Task[WebhookAccount | None]] = {}
        self.routes = [Route(f"/webhooks/{kind}/{{account}}", partial(self.shake_hands, _KINDS[kind]), methods=["GET"]) for kind in _KINDS]

    async def shake_hands(self, channel: ChannelKind, request: Request) -> Response:
        """Answer the handshake, by which the platform checks that this URL is ours."""
        try:
            async with self._guesses.taken():
                name, query = request.path_params["account"], request.query_params
                account, answer = await self._threads.run(partial(self._intake.shake_hands, channel, name, query))
        except (Full, StorageUnavailable):
            return _plain(503)
        if account is None:
            return _plain(404)
        return _plain(403) if answer is None else PlainTextResponse(answer, headers={"Cache-Control": "no-store"})

    async def take(self, scope: Scope, receive: Receive) -> int:
        """Accept one signed webhook, and return the status of the answer."""
        _, _, kind, name = scope["path"].split("/")
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        if headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
            return 415
        try:
            body = await read_body(Request(scope, receive), max_bytes=self._max_body_bytes)
            found = await self._find(_KINDS[kind], name)
            return 404 if found is None else await self._take(found, headers, body)
        except (Full, StorageUnavailable):
            return 503
        except TooLarge:
            return 413
        except TooSlow:
            return 408

    async def _take(self, found: WebhookAccount, headers: dict[str, str], body: bytes) -> int:
        """Store a body if it is signed: only then does it count among those in hand. Raises Full, StorageUnavailable."""
        try:
            webhook = await self._read(found, headers, body)
        except Forged:
            if self._intake.records_refusal(found) and not self._guesses.is_busy:
                async with self._guesses.taken():
                    await self._threads.run(partial(self._intake.refuse, found, headers, body))
            return 401
        with self._gate.entered():
            return 200 if await self._collector.store(webhook) else 503

    async def _find(self, channel: ChannelKind, name: str) -> WebhookAccount | None:
        """Find the account. Those who ask at the same time ask Postgres once. Raises Full, StorageUnavailable."""
        known = self._intake.known(channel, name)
        if known is not None:
            return known[0]
        asked = (channel, name)
        task = self._looking.get(asked)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._ask(channel, name))
            self._looking[asked] = task
            task.add_done_callback(lambda _: self._looking.pop(asked, None))
        return await asyncio.shield(task)

    async def _ask(self, channel: ChannelKind, name: str) -> WebhookAccount | None:
        async with nullcontext() if self._intake.is_account(channel, name) else self._guesses.taken():
            return await self._threads.run(partial(self._intake.find, channel, name))

    async def _read(self, found: WebhookAccount, headers: dict[str, str], body: bytes) -> Webhook:
        if len(body) <= _AT_ONCE_BYTES:
            return self._intake.read(found, headers, body)
        return await self._threads.run(partial(self._intake.read, found, headers, body))


class Posts:
    """Takes the posts to the webhook endpoints out of everything that is asked of the web, past the routes of pages and API."""

    def __init__(self, app: ASGIApp, webhooks: Webhooks) -> None:
        self._app, self._webhooks = app, webhooks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["method"] == "POST" and _is_endpoint(scope["path"]):
            status = await self._webhooks.take(scope, receive)
            # A 200 means a valid signature.
            scope.setdefault("state", {})[KNOWN] = status == HTTPStatus.OK
            await send({"type": "http.response.start", "status": status, "headers": list(_HEADERS[status])})
            await send({"type": "http.response.body", "body": _MESSAGES[status]})
            return
        await self._app(scope, receive, send)


def _is_endpoint(path: str) -> bool:
    if not path.startswith("/webhooks/"):
        return False
    parts = path.split("/")
    return len(parts) == 4 and parts[2] in _KINDS and parts[3] != ""


_MESSAGES = {
    200: b"ok",
    401: b"the signature does not match",
    403: b"the verify token does not match",
    404: b"there is no such account",
    408: b"the body did not arrive in time",
    413: b"the body is too large",
    415: b"send the body without Content-Encoding",
    503: b"cannot accept this now; send it again",
}
_MORE = {408: [(b"connection", b"close")], 413: [(b"connection", b"close")], 503: [(b"retry-after", b"2")]}
_HEADERS = {
    status: ((b"content-length", str(len(text)).encode()), (b"content-type", b"text/plain; charset=utf-8"), *_MORE.get(status, ()))
    for status, text in _MESSAGES.items()
}


def _plain(status: int) -> Response:
    headers = {"Retry-After": "2"} if status == HTTPStatus.SERVICE_UNAVAILABLE else None
    return PlainTextResponse(_MESSAGES[status], status_code=status, headers=headers)
