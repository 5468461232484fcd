"""Batches over JSON: a file streams in and is checked as it comes, its state is read, its answers stream out."""

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

from bots.admin.acting import Operator
from bots.domain import Role
from bots.storage import batch_results, batches
from bots.storage.batch_intake import NewBatch, Submission, Submitted
from bots.storage.batches import Batch, FailedItem
from bots.storage.database import hot, unit
from bots.web.admin_site import AdminSite
from bots.web.limits import TooLarge, TooSlow

#: Larger files come by `chinwag batch submit`, which has no such limit.
_MOST_BYTES = 2 * 1024**3
#: So much is gathered before it is checked, beside the event loop.
_PIECE = 1024 * 1024
#: Silence of a peer that is sending a file.
_SILENCE_S = 30.0
_NO_NUL = r"^[^\x00]*$"
_PROFILE = r"^[a-z0-9][a-z0-9._-]*$"
_FILE = {"schema": {"type": "string", "format": "binary", "description": "JSONL: one line a question"}}
_BODY = {"requestBody": {"required": True, "content": {"application/jsonl": _FILE, "application/octet-stream": _FILE}}}
_BAD_LINES: dict[int | str, dict[str, Any]] = {422: {"description": "Bad lines: nothing was started"}}

_Bot = Annotated[str, Query(max_length=200, pattern=_NO_NUL)]
_Profile = Annotated[str | None, Query(max_length=60, pattern=_PROFILE)]
_Name = Annotated[str, Query(max_length=200, pattern=_NO_NUL)]
_Key = Annotated[str | None, Query(min_length=1, max_length=200, pattern=_NO_NUL)]
_Before = Annotated[AwareDatetime | None, Query()]
_Limit = Annotated[int, Query(ge=1, le=200)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A batch that runs."""

    id: UUID
    total: int
    #: The key was used with the same file before.
    existing: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Retried:
    """What is asked again."""

    items: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """What was erased."""

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
        new = NewBatch(tenant=operator.tenant_id, bot=bot, name=name, profile=profile, key=idempotency_key, actor=operator.name)
        found = await take(site, request, new)
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

        def read() -> list[Batch]:
            with hot(site.web) as connection:
                return batches.newest(connection, tenant=operator.tenant_id, before=before, limit=limit)

        return await site.do(read)

    @api.get("/{batch}")
    async def one(batch: UUID, operator: Operator = viewer) -> Batch:
        """Return one batch: counts by state, rate, seconds left."""

        def read() -> Batch:
            with hot(site.web) as connection:
                return batches.get(connection, batch, tenant=operator.tenant_id)

        return await site.do(read)

    @api.get("/{batch}/failed")
    async def failed(batch: UUID, limit: _Limit = 100, operator: Operator = viewer) -> list[FailedItem]:
        """Return the first items that failed, with their reasons."""

        def read() -> list[FailedItem]:
            with hot(site.web) as connection:
                batches.get(connection, batch, tenant=operator.tenant_id)
                return batches.failed_items(connection, batch, tenant=operator.tenant_id, limit=limit)

        return await site.do(read)

    @api.get("/{batch}/results", response_class=StreamingResponse)
    async def results(batch: UUID, operator: Operator = viewer) -> Response:
        """Stream the answers as JSONL in the order of the file; of a batch that runs those that are there."""
        await one(batch, operator)
        headers = {"Content-Disposition": f'attachment; filename="answers-{batch.hex[:8]}.jsonl"', "Cache-Control": "no-store"}
        return StreamingResponse(_lines(site, operator.tenant_id, batch), media_type="application/jsonl", headers=headers)

    def change(action: str, batch: UUID, operator: Operator) -> int:
        return act(site, action, batch, operator)

    @api.post("/{batch}/pause")
    async def pause(batch: UUID, operator: Operator = acting) -> Batch:
        """Begin no further item; what runs ends."""
        await site.do(partial(change, "pause", batch, operator))
        return await one(batch, operator)

    @api.post("/{batch}/resume")
    async def resume(batch: UUID, operator: Operator = acting) -> Batch:
        """Go on after a pause."""
        await site.do(partial(change, "resume", batch, operator))
        return await one(batch, operator)

    @api.post("/{batch}/cancel")
    async def cancel(batch: UUID, operator: Operator = acting) -> Batch:
        """End a batch for good; answers that are there stay."""
        await site.do(partial(change, "cancel", batch, operator))
        return await one(batch, operator)

    @api.post("/{batch}/retry")
    async def retry(batch: UUID, operator: Operator = acting) -> Retried:
        """Ask again what failed."""
        return Retried(items=await site.do(partial(change, "retry", batch, operator)))

    @api.delete("/{batch}")
    async def remove(batch: UUID, operator: Operator = owner) -> Removed:
        """Erase a batch that is over, with its questions and answers."""
        return Removed(items=await site.do(partial(batches.remove, site.web, batch, tenant=operator.tenant_id, actor=operator.name)))

    return api


def act(site: AdminSite, action: str, batch: UUID, operator: Operator) -> int:
    """Do what an operator asks of a batch; of a retry returns how many items. Raises NotFound, Conflict."""
    with unit(site.web) as connection:
        tenant, actor = operator.tenant_id, operator.name
        match action:
            case "pause":
                batches.pause(connection, batch, tenant=tenant, actor=actor)
            case "resume":
                batches.resume(connection, batch, tenant=tenant, actor=actor)
            case "cancel":
                batches.cancel(connection, batch, tenant=tenant, actor=actor)
            case _:
                return batches.retry_failed(connection, batch, tenant=tenant, actor=actor)
        return 0


async def take(site: AdminSite, request: Request, new: NewBatch) -> Submitted:
    """Check a request's body as it comes and start its batch. Raises NotFound, Conflict, TooLarge, TooSlow."""
    submission = await site.do(partial(Submission, site.web, new, line_bytes=site.settings.batch_line_bytes))
    is_done = False
    try:
        async for piece in _pieces(request):
            await site.do(partial(submission.feed, piece))
            if submission.refused:
                break
        found = await site.do(submission.finish)
        is_done = True
        return found
    finally:
        if not is_done:
            # Also when the peer has left: nothing of a file that did not come whole is kept.
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


async def _lines(site: AdminSite, tenant: UUID, batch: UUID) -> AsyncGenerator[str]:
    after = 0

    def page() -> tuple[int, str]:
        with hot(site.web) as connection:
            rows = batches.ended_after(connection, batch, tenant=tenant, after=after)
        return (rows[-1].n if rows else after), "".join(batch_results.line(batch, row) for row in rows)

    while True:
        after, text = await site.do(page)
        if not text:
            return
        yield text
