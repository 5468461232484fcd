"""Batches over JSON: a file streams in and is checked as it arrives, its state is read, its answers stream out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import AwareDatetime
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from bots.admin import batches
from bots.admin.acting import Operator
from bots.domain import Role
from bots.storage.batch_intake import Submission, Submitted
from bots.storage.batches import Batch, FailedItem
from bots.web.admin_site import AdminSite
from bots.web.limits import TooLarge, TooSlow

#: For larger files there is `chinwag batch submit`, which has no such limit.
_MOST_BYTES = 2 * 1024**3
#: Bytes that are collected before they are checked, beside the event loop.
_PIECE = 1024 * 1024
#: How long a client may pause while it sends a file.
_SILENCE_S = 30.0
_NO_NUL = r"^[^\x00]*$"
_PROFILE = r"^[a-z0-9][a-z0-9._-]*$"
_FILE = {"schema": {"type": "string", "format": "binary", "description": "JSONL: one question per line."}}
_BODY = {"requestBody": {"required": True, "content": {"application/jsonl": _FILE, "application/octet-stream": _FILE}}}
_BAD_LINES: dict[int | str, dict[str, Any]] = {422: {"description": "The file has bad lines: nothing was started."}}

_Bot = Annotated[str, Query(max_length=200, pattern=_NO_NUL)]
_Profile = Annotated[str | None, Query(max_length=60, pattern=_PROFILE)]
_Name = Annotated[str, Query(max_length=200, pattern=_NO_NUL)]
_Key = Annotated[str | None, Query(min_length=1, max_length=200, pattern=_NO_NUL)]
_Before = Annotated[AwareDatetime | None, Query()]
_Limit = Annotated[int, Query(ge=1, le=200)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A batch that has started."""

    id: UUID
    total: int
    #: The same file was submitted with this key before.
    existing: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Retried:
    """How many items are asked again."""

    items: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """How many items were erased."""

    items: int


def router(site: AdminSite) -> APIRouter:  # noqa: C901 - endpoints side by side
    """Build the endpoints of batches."""
    api = APIRouter(prefix="/api/v1/batches", tags=["batches"])
    viewer, acting, owner = site.may(Role.VIEWER), site.may(Role.OPERATOR), site.may(Role.OWNER)

    @api.post("", status_code=201, response_model=Started, openapi_extra=_BODY, responses=_BAD_LINES)
    async def submit(  # noqa: PLR0917 - parameters of a query
        request: Request,
        bot: _Bot,
        profile: _Profile = None,
        name: _Name = "batch",
        idempotency_key: _Key = None,
        operator: Operator = acting,
    ) -> Response:
        """Check a file of lines and start its batch."""
        begun = await site.run(batches.begin, operator, bot=bot, name=name, profile=profile, key=idempotency_key)
        found = await _take(site, request, operator, begun)
        if found.batch is None:
            return JSONResponse(refusal(found), status_code=422)
        started = {"id": str(found.batch), "total": found.total, "existing": found.existing}
        return JSONResponse(started, status_code=200 if found.existing else 201)

    @api.get("")
    async def newest(
        before: _Before = None,
        limit: _Limit = 50,
        operator: Operator = viewer,
    ) -> list[Batch]:
        """Return the newest batches, or those made before a time."""
        return await site.run(batches.newest, operator, before=before, limit=limit)

    @api.get("/{batch}")
    async def one(batch: UUID, operator: Operator = viewer) -> Batch:
        """Return one batch: counts by state, rate, seconds left."""
        return await site.run(batches.get, operator, batch)

    @api.get("/{batch}/failed")
    async def failed(batch: UUID, limit: _Limit = 100, operator: Operator = viewer) -> list[FailedItem]:
        """Return the first items that failed, with their reasons."""
        return await site.run(batches.failed_items, operator, batch, limit=limit)

    @api.get("/{batch}/results", response_class=StreamingResponse)
    async def results(batch: UUID, operator: Operator = viewer) -> Response:
        """Stream the answers as JSONL in the order of the file; those so far while the batch is running."""
        await one(batch, operator)
        headers = {"Content-Disposition": f'attachment; filename="answers-{batch.hex[:8]}.jsonl"', "Cache-Control": "no-store"}
        return StreamingResponse(_lines(site, operator, batch), media_type="application/jsonl", headers=headers)

    @api.post("/{batch}/pause")
    async def pause(batch: UUID, operator: Operator = acting) -> Batch:
        """Start no further item; running ones finish."""
        await site.run(batches.pause, operator, batch)
        return await one(batch, operator)

    @api.post("/{batch}/resume")
    async def resume(batch: UUID, operator: Operator = acting) -> Batch:
        """Go on after a pause."""
        await site.run(batches.resume, operator, batch)
        return await one(batch, operator)

    @api.post("/{batch}/cancel")
    async def cancel(batch: UUID, operator: Operator = acting) -> Batch:
        """End a batch for good; the answers so far are kept."""
        await site.run(batches.cancel, operator, batch)
        return await one(batch, operator)

    @api.post("/{batch}/retry")
    async def retry(batch: UUID, operator: Operator = acting) -> Retried:
        """Ask the failed items again."""
        return Retried(items=await site.run(batches.retry, operator, batch))

    @api.delete("/{batch}")
    async def remove(batch: UUID, operator: Operator = owner) -> Removed:
        """Erase a batch that has ended, with its questions and answers."""
        return Removed(items=await site.run(batches.remove, operator, batch))

    return api


async def _take(site: AdminSite, request: Request, operator: Operator, submission: Submission) -> Submitted:
    """Check a request's body as it arrives and start its batch. Raises NotFound, Conflict, TooLarge, TooSlow."""
    is_done = False
    try:
        async for piece in _pieces(request):
            await site.do(partial(submission.feed, piece))
            if submission.refused:
                break
        found = await site.run(batches.finish, operator, submission)
        is_done = True
        return found
    finally:
        if not is_done:
            # Also when the client has gone: nothing of an incomplete file is kept.
            await asyncio.shield(site.do(submission.abandon))


def refusal(found: Submitted) -> dict[str, object]:
    """What is wrong with a file, for whoever sent it."""
    count = found.bad_count
    whole = found.bad[0].reason if found.bad and not found.bad[0].n else f"{count} bad line{'' if count == 1 else 's'}"
    lines = [{"line": line.n, "reason": line.reason} for line in found.bad if line.n]
    return {"error": f"Nothing was started: {whole}.", "lines": lines, "bad_lines": count}


async def _pieces(request: Request) -> AsyncGenerator[bytes]:
    held, total = bytearray(), 0
    stream = request.stream()
    while True:
        try:
            async with asyncio.timeout(_SILENCE_S):
                more = await anext(stream, None)
        except (TimeoutError, ClientDisconnect) as error:
            raise TooSlow from error
        if more is None:
            break
        total += len(more)
        if total > _MOST_BYTES:
            raise TooLarge
        held += more
        if len(held) >= _PIECE:
            yield bytes(held)
            held.clear()
    if held:
        yield bytes(held)


async def _lines(site: AdminSite, operator: Operator, batch: UUID) -> AsyncGenerator[str]:
    parts = batches.results(site.deps, operator, batch)
    while part := await site.do(partial(next, parts, "")):
        yield part
