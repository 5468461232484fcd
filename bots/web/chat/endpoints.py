"""The chat page: anybody on this machine can write as a contact through the console channel, which is a channel like any other.

A visitor can write as any contact. So the page is off by default, and answers 404 to every other machine.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Annotated, Literal, TypeVar
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from bots.domain import DeliveryStatus
from bots.errors import MediaTooLarge, NotAPicture, StorageUnavailable
from bots.web.chat.live import Live, Watcher
from bots.web.chat.phone import Phone
from bots.web.limits import TooLarge, TooSlow, read_body
from bots.web.loopback import is_local, is_same_origin
from bots.web.media import picture_answer
from bots.web.thread_pool import ThreadPool
from bots.web.views import Views

#: After this long without news the stream sends a ping and reads again: a lost notice delays a page by no more than this.
_QUIET_S = 10.0
#: A conversation is read at most this often while it changes.
_PAUSE_S = 0.1
#: Which model answers is looked up at most this often.
_MODEL_S = 2.0
_MAX_PAGES = 100
_MAX_POST_BYTES = 64 * 1024
#: A picture in base64, and a text with it.
_MAX_SAID_BYTES = 22 * 1024 * 1024 + _MAX_POST_BYTES

_REFUSALS: dict[type[Exception], tuple[int, str]] = {
    msgspec.DecodeError: (422, "this request is not valid"),
    TooLarge: (413, "too large"),
    TooSlow: (408, "too slow"),
    StorageUnavailable: (503, "Postgres does not answer; try again"),
    MediaTooLarge: (413, "the picture is too large"),
    NotAPicture: (422, "this is not a picture that can be read: use JPEG, PNG, WebP or GIF"),
}

Slug = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[a-z0-9][a-z0-9-]*$")]
Struct = TypeVar("Struct", bound=msgspec.Struct)
Endpoint = Callable[[Request], Awaitable[Response]]


class Said(msgspec.Struct, frozen=True):
    """A message that a visitor wrote as a contact: a text, a picture or both; or a recording. A second post with the same key changes nothing."""

    contact: Slug
    key: Annotated[str, msgspec.Meta(min_length=8, max_length=64, pattern=r"^[A-Za-z0-9-]+$")]
    text: Annotated[str, msgspec.Meta(max_length=4096)] = ""
    name: Annotated[str, msgspec.Meta(max_length=80)] = ""
    #: In base64.
    picture: bytes = b""
    recording: bytes = b""


class Seen(msgspec.Struct, frozen=True):
    """Reports that a message of the bot was delivered to the contact, or read."""

    external_id: Annotated[str, msgspec.Meta(max_length=80, pattern=r"^console:[0-9a-f-]{36}$")]
    status: Literal["delivered", "read"]


class SeenPost(msgspec.Struct, frozen=True):
    """Several reports of one contact."""

    contact: Slug
    statuses: Annotated[list[Seen], msgspec.Meta(max_length=200)]


class Simulator:
    """The chat page's endpoints."""

    def __init__(self, *, phone: Phone, live: Live, threads: ThreadPool, views: Views) -> None:
        self._phone, self._live, self._threads, self._views = phone, live, threads, views
        self.routes = [
            Route("/", self._guarded(self._go_to_chat)),
            Route("/chat", self._guarded(self._page)),
            Route("/chat/contacts", self._guarded(self._contacts)),
            Route("/chat/events", self._guarded(self._events)),
            Route("/chat/turns/{turn:uuid}", self._guarded(self._story)),
            Route("/chat/pictures/{picture:uuid}", self._guarded(self._picture)),
            Route("/chat/messages", self._guarded(self._say), methods=["POST"]),
            Route("/chat/statuses", self._guarded(self._see), methods=["POST"]),
        ]

    def _guarded(self, endpoint: Endpoint) -> Endpoint:
        async def answer(request: Request) -> Response:
            if not is_local(request):
                return _json({"error": "not found"}, 404)
            if request.method == "POST" and not is_same_origin(request):
                return _json({"error": "this was sent by another page"}, 403)
            try:
                return await endpoint(request)
            except tuple(_REFUSALS) as error:
                status, why = next(refusal for kind, refusal in _REFUSALS.items() if isinstance(error, kind))
                return _json({"error": why}, status)

        return answer

    async def _go_to_chat(self, _request: Request) -> Response:
        return RedirectResponse("/chat", status_code=307)

    async def _page(self, _request: Request) -> Response:
        return self._views.page("chat.html")

    async def _contacts(self, _request: Request) -> Response:
        return _json(await self._threads.run(self._phone.contacts))

    async def _story(self, request: Request) -> Response:
        slug = msgspec.convert(request.query_params.get("contact"), Slug)
        turn: UUID = request.path_params["turn"]
        story = await self._threads.run(partial(self._phone.story, slug, turn))
        return _json({"error": "not found"}, 404) if story is None else _json(story)

    async def _picture(self, request: Request) -> Response:
        slug = msgspec.convert(request.query_params.get("contact"), Slug)
        picture: UUID = request.path_params["picture"]
        found = await self._threads.run(partial(self._phone.picture, slug, picture))
        return _json({"error": "not found"}, 404) if found is None else picture_answer(found)

    async def _say(self, request: Request) -> Response:
        said = await _read(request, Said, max_bytes=_MAX_SAID_BYTES)
        if not said.text and not said.picture and not said.recording:
            raise msgspec.DecodeError
        await self._threads.run(
            partial(
                self._phone.say,
                slug=said.contact,
                key=said.key,
                text=said.text,
                name=said.name,
                picture=said.picture,
                recording=said.recording,
            )
        )
        self._live.read_again(said.contact)
        return _json({"stored": True})

    async def _see(self, request: Request) -> Response:
        post = await _read(request, SeenPost)
        statuses = [(seen.external_id, DeliveryStatus(seen.status)) for seen in post.statuses]
        await self._threads.run(partial(self._phone.see, slug=post.contact, statuses=statuses))
        self._live.read_again(post.contact)
        return _json({"stored": True})

    async def _events(self, request: Request) -> Response:
        slug = msgspec.convert(request.query_params.get("contact"), Slug)
        if self._live.count >= _MAX_PAGES:
            return _json({"error": "too many pages are open"}, 503)
        stream = self._stream(slug, request.headers.get("last-event-id", ""))
        return StreamingResponse(stream, media_type="text/event-stream", headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})

    async def _stream(self, slug: str, seen: str) -> AsyncIterator[bytes]:
        """Send the whole conversation first, unless the page has it already (`seen` is its digest), then what is new."""
        line, line_at = "", 0.0
        with self._live.watching(slug) as watcher:
            yield b"retry: 1000\n\n"
            while not watcher.is_over:
                watcher.woken.clear()
                if watcher.is_behind:
                    watcher.is_behind = False
                    try:
                        body = await self._threads.run(partial(self._read_talk, watcher))
                    except StorageUnavailable:
                        watcher.is_behind = True
                        yield _event("unavailable", b"{}")
                        await asyncio.sleep(1.0)
                        continue
                    digest = hashlib.sha256(body).hexdigest()[:16]
                    if digest != seen:
                        seen = digest
                        yield _event("talk", body, digest)
                if time.monotonic() >= line_at:
                    line, before = await self._model_line(line), line
                    line_at = time.monotonic() + _MODEL_S
                    if line != before:
                        yield _event("model", msgspec.json.encode({"line": line}))
                for piece in _small_news(watcher):
                    yield piece
                await asyncio.sleep(_PAUSE_S)
                try:
                    await asyncio.wait_for(watcher.woken.wait(), _QUIET_S)
                except TimeoutError:
                    watcher.is_behind = True
                    yield _event("ping", b"{}")

    async def _model_line(self, before: str) -> str:
        try:
            return await self._threads.run(self._phone.model_line)
        except StorageUnavailable:
            return before

    def _read_talk(self, watcher: Watcher) -> bytes:
        watcher.contact, found = self._phone.talk(watcher.slug)
        watcher.conversation = found.conversation
        return msgspec.json.encode(found)


def _small_news(watcher: Watcher) -> list[bytes]:
    pieces: list[bytes] = []
    if watcher.is_typing:
        watcher.is_typing = False
        pieces.append(_event("typing", b"{}"))
    if watcher.partial is not None:
        turn, text = watcher.partial
        watcher.partial = None
        pieces.append(_event("partial", msgspec.json.encode({"turn": turn, "text": text})))
    return pieces


def _event(name: str, data: bytes, number: str | None = None) -> bytes:
    head = f"id: {number}\n" if number else ""
    return f"{head}event: {name}\ndata: ".encode() + data + b"\n\n"


async def _read(request: Request, kind: type[Struct], *, max_bytes: int = _MAX_POST_BYTES) -> Struct:
    if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
        raise msgspec.DecodeError
    return msgspec.json.decode(await read_body(request, max_bytes=max_bytes), type=kind)


def _json(value: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status_code=status, media_type="application/json", headers={"Cache-Control": "no-store"})
