"""Whisper behind an OpenAI-compatible /v1/audio/transcriptions: `python -m inference.voice.server --model FOLDER --port P`.

It runs in the environment of the voice engine (`chinwag/local/install_voice.py`), on loopback unless it is told another address. One recording is heard at
a time, at a low priority: chat engines on the same cores go first. Whoever asks again for a recording that is being heard, or was a moment ago, waits for the
same result: a long one outlives the patience of a single request.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import hashlib
import os
import socket
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from inference.voice.engine import Engine, Heard
from inference.voice.sound import NoSound, samples

#: The largest file: what messengers pass on, and a margin.
LARGEST_BYTES = 26_000_000
#: The longest recording, in seconds.
LONGEST_S = 600.0
#: So many wait at once; more are told to come again.
_MOST_WAITING = 16
#: How long, and how many, results are kept for whoever asks again.
_KEPT_S, _MOST_KEPT = 600.0, 64
_NICE = 10
#: After so long without a recording the model is let go.
_RESTS_AFTER_S, _LOOK_S = 300.0, 30.0
_FIELDS = 16


class HearingQueue:
    """The engine with its queue, and the results of the last minutes. The model is loaded when there is something to hear, and let go afterwards."""

    def __init__(self, load: Callable[[], Engine]) -> None:
        self._load = load
        self._engine: Engine | None = None
        self._heard_at = 0.0
        #: One thread: one recording at a time, in the order in which they came.
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="hear")
        self._jobs: OrderedDict[bytes, tuple[float, asyncio.Future[Heard]]] = OrderedDict()

    async def hear(self, data: bytes, *, language: str, hint: str) -> Heard | None:
        """Return what is said, None where too many wait. Raises NoSound. If its caller goes away, the work goes on for whoever asks again."""
        key = hashlib.sha256(f"{language}:{hint}:".encode() + data).digest()
        self._forget()
        known = self._jobs.get(key)
        if known is None:
            if sum(not job.done() for _, job in self._jobs.values()) >= _MOST_WAITING:
                return None
            job = asyncio.get_running_loop().run_in_executor(self._pool, self._heard, data, language, hint)
            # Nobody may be there to fetch an error.
            job.add_done_callback(lambda done: done.cancelled() or done.exception())
            known = self._jobs[key] = (time.monotonic(), job)
        return await asyncio.shield(known[1])

    def _heard(self, data: bytes, language: str, hint: str) -> Heard:
        sound = samples(data, most_s=LONGEST_S)
        if self._engine is None:
            self._engine = self._load()
        try:
            return self._engine.hear(sound, language=language, hint=hint)
        finally:
            self._heard_at = time.monotonic()

    async def rest(self) -> None:
        """Let the model go when nothing was heard for a while: it takes half a gigabyte, and loading it half a second."""
        while True:
            await asyncio.sleep(_LOOK_S)
            if self._engine is not None and time.monotonic() - self._heard_at > _RESTS_AFTER_S:
                await asyncio.get_running_loop().run_in_executor(self._pool, self._let_go)

    def _let_go(self) -> None:
        if time.monotonic() - self._heard_at > _RESTS_AFTER_S:
            self._engine = None
            gc.collect()

    def _forget(self) -> None:
        now = time.monotonic()
        for key, (began, job) in list(self._jobs.items()):
            if job.done() and (now - began > _KEPT_S or len(self._jobs) > _MOST_KEPT):
                del self._jobs[key]


def build(hearing: HearingQueue, model: str) -> Starlette:
    """Return the application."""

    async def transcriptions(request: Request) -> Response:
        if int(request.headers.get("content-length") or 0) > LARGEST_BYTES:
            return _failure(413, "too_large", f"a file has at most {LARGEST_BYTES} bytes")
        async with request.form(max_files=1, max_fields=_FIELDS, max_part_size=64 * 1024) as form:
            file = form.get("file")
            if not isinstance(file, UploadFile):
                return _failure(400, "no_file", "the form has no file")
            data = await file.read(LARGEST_BYTES + 1)
            language, hint, kind = (_word(form, name) for name in ("language", "language_hint", "response_format"))
        if len(data) > LARGEST_BYTES:
            return _failure(413, "too_large", f"a file has at most {LARGEST_BYTES} bytes")
        try:
            heard = await hearing.hear(data, language=language, hint=hint)
        except NoSound as error:
            return _failure(400, error.code, str(error))
        if heard is None:
            return _failure(503, "busy", "other recordings are being heard: try again later", {"Retry-After": "5"})
        return _told(heard, kind)

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok", "model": model})

    async def models(_: Request) -> Response:
        return JSONResponse({"object": "list", "data": [{"id": model, "object": "model"}]})

    @contextlib.asynccontextmanager
    async def life(_: Starlette) -> AsyncGenerator[None]:
        resting = asyncio.create_task(hearing.rest())
        yield
        resting.cancel()

    return Starlette(
        lifespan=life,
        routes=[
            Route("/v1/audio/transcriptions", transcriptions, methods=["POST"]),
            Route("/v1/models", models),
            Route("/health", health),
        ],
    )


def _told(heard: Heard, kind: str) -> Response:
    if kind == "text":
        return PlainTextResponse(heard.text)
    if kind != "verbose_json":
        return JSONResponse({"text": heard.text})
    return JSONResponse(
        {
            "task": "transcribe",
            "text": heard.text,
            "language": heard.language,
            "language_probability": heard.language_certainty,
            "certainty": heard.certainty,
            "duration": round(heard.seconds, 2),
        }
    )


def _word(form: FormData, name: str) -> str:
    value = form.get(name)
    return value.strip().lower()[:16] if isinstance(value, str) else ""


def _failure(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Response:
    error = {"message": message, "type": "invalid_request_error", "code": code}
    return JSONResponse({"error": error}, status_code=status, headers=headers)


class _Server(uvicorn.Server):
    """Prints its address once it listens."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if sockets:
            print(f"Listening on http://127.0.0.1:{sockets[0].getsockname()[1]}", flush=True)  # noqa: T201 - whoever started it reads this line


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m inference.voice.server", description="What is said in recordings.")
    parser.add_argument("--model", required=True, help="a folder with a Whisper model for CTranslate2, or its name on the Hub")
    parser.add_argument("--name", default="whisper-base", help="what the model is called")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--threads", type=int, default=0, help="0: one for each core")
    given = parser.parse_args()
    with contextlib.suppress(OSError):
        os.nice(_NICE)
    listener = socket.create_server((given.host, given.port), backlog=64)
    threads = given.threads or len(os.sched_getaffinity(0))
    hearing = HearingQueue(lambda: Engine(given.model, threads=threads))
    config = uvicorn.Config(build(hearing, given.name), log_level="warning", access_log=False, timeout_graceful_shutdown=2)
    _Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
