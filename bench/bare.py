"""The two endpoints that the real one is compared with: one that only reads the body, and one that also inserts it into Postgres."""

from __future__ import annotations

import os
import sys
import uuid

import anyio.to_thread
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from bots.storage.database import open_engine

_INSERT = "insert into bare (id, body) values (%s, %s) on conflict do nothing"


def make(url: str, pool: int) -> Starlette:
    """An application on the same framework, server and driver as the real one."""
    engine = open_engine(url, pool=pool, name="bare")

    def insert(body: bytes) -> None:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(_INSERT, (uuid.uuid4(), body))

    async def bare(request: Request) -> Response:
        await request.body()
        return PlainTextResponse("ok")

    async def inserting(request: Request) -> Response:
        await anyio.to_thread.run_sync(insert, await request.body())
        return PlainTextResponse("ok")

    return Starlette(routes=[Route("/bare", bare, methods=["POST"]), Route("/insert", inserting, methods=["POST"])])


def main() -> None:
    """Serve on the port of the first argument; the database's address is in BENCH_DATABASE_URL."""
    app = make(os.environ["BENCH_DATABASE_URL"], 16)
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), loop="uvloop", http="httptools", access_log=False, log_level="warning")


if __name__ == "__main__":
    main()
