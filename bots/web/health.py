"""Whether the process runs and whether it can accept webhooks."""

from __future__ import annotations

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
        self.routes = [Route("/livez", self.is_alive), Route("/readyz", self.is_ready)]

    async def is_alive(self, _request: Request) -> Response:
        """Say that the event loop runs."""
        return PlainTextResponse("ok", headers={"Cache-Control": "no-store"})

    async def is_ready(self, _request: Request) -> Response:
        """Say whether Postgres answers: without it nothing can be stored."""
        try:
            await self._threads.run(self._ask_postgres)
        except StorageUnavailable:
            return JSONResponse({"postgres": "unavailable"}, status_code=503, headers={"Retry-After": "2"})
        return JSONResponse({"postgres": "ok"}, headers={"Cache-Control": "no-store"})

    def _ask_postgres(self) -> None:
        with hot(self._engine) as connection:
            overview.is_up(connection)
