"""Whether the process runs and whether it can accept webhooks."""

from __future__ import annotations

import asyncio

from sqlalchemy import Engine
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from bots.errors import StorageUnavailable
from bots.storage import overview
from bots.storage.database import hot
from bots.web.thread_pool import ThreadPool


class Health:
    """What a supervisor asks."""

    def __init__(self, *, engine: Engine, threads: ThreadPool) -> None:
        self._engine, self._threads = engine, threads
        #: However many ask at once, Postgres is asked once.
        self._asked: asyncio.Task[None] | None = None
        self.routes = [Route("/livez", self.is_alive), Route("/readyz", self.is_ready)]

    async def is_alive(self, _request: Request) -> Response:
        """Say that the event loop runs."""
        return PlainTextResponse("ok", headers={"Cache-Control": "no-store"})

    async def is_ready(self, _request: Request) -> Response:
        """Say whether Postgres answers: without it nothing can be stored."""
        try:
            if self._asked is None or self._asked.done():
                self._asked = asyncio.create_task(self._threads.run(self._ask_postgres))
            await asyncio.shield(self._asked)
        except StorageUnavailable:
            return JSONResponse({"postgres": "unavailable"}, status_code=503, headers={"Retry-After": "2"})
        return JSONResponse({"postgres": "ok"}, headers={"Cache-Control": "no-store"})

    def _ask_postgres(self) -> None:
        with hot(self._engine) as connection:
            overview.is_up(connection)
