"""The scripted model's addresses: the model's own (/v1/..., /tokenize, /health) and the ones that script it (/_script, /_log, /_release)."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qs

import msgspec

from inference.scripted.http import Exchange
from inference.scripted.script import Behaviour, ChatRequest, Entry, Script, last_user

Flavour = Literal["llamacpp", "vllm", "hosted"]

_STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n"
_HUGE_BYTES = 10 * 1024 * 1024
_decode_chat = msgspec.json.Decoder(ChatRequest).decode
_encode = msgspec.json.Encoder().encode

#: Modes that are a whole response: status, body, content type, further headers.
_REFUSALS: dict[str, tuple[int, bytes, str, str]] = {
    "refuse503": (
        503,
        b'{"error":{"message":"The server is busy: its queue is full","type":"service_unavailable","code":503}}',
        "application/json",
        "",
    ),
    "down503": (503, b"<html>Service Unavailable</html>", "text/html", ""),
    "busy429": (429, b'{"error":{"message":"Too many requests","code":429}}', "application/json", "retry-after: 1\r\n"),
    "error500": (500, b'{"error":{"message":"Internal error","type":"server_error","code":500}}', "application/json", ""),
    "error400": (400, b'{"error":{"message":"Bad request","type":"invalid_request_error","code":400}}', "application/json", ""),
    "error401": (401, b'{"error":{"message":"Invalid API Key","type":"authentication_error","code":401}}', "application/json", ""),
    "redirect": (302, b"", "text/plain", "location: /v1/elsewhere\r\n"),
    "garbage": (200, b"<html>It works!</html>", "text/event-stream", ""),
}


#: Modes that begin a stream and do not end it well.
_BROKEN = frozenset({"truncated", "close_midway", "hang_midway", "stream_error"})


class _Reply(NamedTuple):
    """What a stream says, and the log's entry for it."""

    text: str
    usage: dict[str, Any]
    reason: str
    entry: Entry


class ScriptedModel:
    """Answers requests by the script."""

    def __init__(self, script: Script, *, model: str = "scripted", flavour: Flavour = "llamacpp", context: int = 0) -> None:
        self.script = script
        self._model = model
        self._flavour = flavour
        self._context = context
        self._held: list[asyncio.Event] = []

    async def handle(self, exchange: Exchange) -> None:
        """Answer one request."""
        if exchange.path == "/v1/chat/completions" and exchange.method == "POST":
            await self._chat(exchange)
        elif exchange.path.startswith("/_"):
            self._control(exchange)
        elif exchange.path == "/tokenize" and self._flavour != "hosted":
            self._tokenize(exchange)
        elif exchange.path == "/health":
            exchange.json(200, {"status": "ok"})
        elif exchange.path == "/v1/models":
            exchange.json(200, {"object": "list", "data": [{"id": self._model, "object": "model"}]})
        else:
            exchange.json(404, {"error": {"message": "not found", "code": 404}})

    def _control(self, exchange: Exchange) -> None:
        request = (exchange.method, exchange.path)
        if request == ("POST", "/_script"):
            try:
                self.script.add(msgspec.json.decode(exchange.body, type=Behaviour))
            except msgspec.DecodeError as error:
                exchange.json(400, {"error": str(error)})
                return
            exchange.json(200, self.script.shown())
        elif request == ("DELETE", "/_script"):
            self.script.reset()
            exchange.json(200, self.script.shown())
        elif request == ("GET", "/_script"):
            exchange.json(200, self.script.shown())
        elif request == ("GET", "/_log"):
            after = parse_qs(exchange.query).get("after", ["0"])[0]
            exchange.json(200, self.script.log(int(after) if after.isdigit() else 0) | {"held": len(self._held)})
        elif request == ("DELETE", "/_log"):
            self.script.clear_log()
            exchange.json(200, {})
        elif request == ("POST", "/_release"):
            released = len(self._held)
            for event in self._held:
                event.set()
            exchange.json(200, {"released": released})
        else:
            exchange.json(404, {"error": "not found"})

    def _tokenize(self, exchange: Exchange) -> None:
        """Answer as the flavour's own server does: llama.cpp reads `content`, vLLM `prompt`."""
        try:
            body = msgspec.json.decode(exchange.body, type=dict[str, Any])
        except msgspec.DecodeError:
            exchange.json(400, {"error": "bad JSON"})
            return
        if self._flavour == "llamacpp":
            exchange.json(200, {"tokens": list(range(len(str(body.get("content", "")).split())))})
        elif "prompt" in body:
            count = len(str(body["prompt"]).split())
            exchange.json(200, {"count": count, "max_model_len": 8192, "tokens": list(range(count))})
        else:
            exchange.json(400, {"error": {"message": "prompt: field required", "code": 400}})

    async def _chat(self, exchange: Exchange) -> None:
        entry = self.script.enter(exchange.body)
        try:
            request = _decode_chat(exchange.body)
        except msgspec.DecodeError as error:
            exchange.json(400, {"error": {"message": str(error), "type": "invalid_request_error", "code": 400}})
            entry.end("failed")
            return
        behaviour = self.script.choose(last_user(request.messages))
        try:
            await self._wait(behaviour)
            await self._answer(exchange, request, behaviour, entry)
        except asyncio.CancelledError:
            # The client went away; the loop is not ending, for the process just exits then.
            entry.end("dropped")

    async def _wait(self, behaviour: Behaviour) -> None:
        if behaviour.latency_s:
            await asyncio.sleep(behaviour.latency_s)
        if behaviour.mode == "hold":
            event = asyncio.Event()
            self._held.append(event)
            try:
                await event.wait()
            finally:
                self._held.remove(event)
        elif behaviour.mode == "hang":
            await asyncio.Event().wait()

    async def _answer(self, exchange: Exchange, request: ChatRequest, behaviour: Behaviour, entry: Entry) -> None:
        mode = behaviour.mode
        if mode in _REFUSALS:
            entry.end("failed")
            exchange.whole(*_REFUSALS[mode])
            return
        if mode == "close":
            entry.end("failed")
            exchange.cut()
            return
        text = behaviour.words(last_user(request.messages))
        usage = self.script.usage(request.messages, text)
        if mode == "toolong" or 0 < self._context < usage["prompt_tokens"]:
            entry.end("failed")
            exchange.json(400, self._too_long(usage["prompt_tokens"]))
            return
        reason = behaviour.finish_reason or ("length" if mode == "loop" else "stop")
        entry.answer, entry.usage = text, usage
        if request.stream:
            await self._stream(exchange, behaviour, _Reply(text, usage, reason, entry))
        else:
            choices = [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": reason}]
            entry.end("answered")
            exchange.json(200, self._frame("chat.completion", [] if mode == "no_choices" else choices, usage))

    def _too_long(self, tokens: int) -> dict[str, Any]:
        message = f"request ({tokens} tokens) exceeds the available context size ({self._context} tokens), try increasing it"
        kind = "exceed_context_size_error"
        return {"error": {"code": 400, "message": message, "type": kind, "n_prompt_tokens": tokens, "n_ctx": self._context}}

    def _frame(self, kind: str, choices: list[dict[str, Any]], usage: dict[str, Any] | None) -> dict[str, Any]:
        frame = {
            "id": f"chatcmpl-{self.script.count}",
            "object": kind,
            "created": int(time.time()),
            "model": self._model,
            "choices": choices,
        }
        return frame if usage is None else frame | {"usage": usage}

    def _event(self, delta: dict[str, str], reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return b"data: " + _encode(self._frame("chat.completion.chunk", [choice], None)) + b"\n\n"

    def _last_events(self, reason: str, usage: dict[str, Any]) -> bytes:
        counted = b"data: " + _encode(self._frame("chat.completion.chunk", [], usage)) + b"\n\n"
        return self._event({}, reason) + counted + b"data: [DONE]\n\n"

    async def _stream(self, exchange: Exchange, behaviour: Behaviour, reply: _Reply) -> None:
        mode, entry = behaviour.mode, reply.entry
        words = self._event({"role": "assistant", "content": reply.text})
        last = self._last_events(reply.reason, reply.usage)
        if mode in ("normal", "hold") and not behaviour.word_s:
            # All in one write: the cheap and common way. Logged first: who has the answer finds it in the log.
            entry.end("answered")
            exchange.write(_STREAM_HEAD + b"%x\r\n%s\r\n0\r\n\r\n" % (len(words) + len(last), words + last))
            return
        if mode == "drip_headers":
            await _drip(exchange, _STREAM_HEAD[:-2] + b"x-more: " + b"x" * 4096, behaviour.drip_s)
        exchange.write(_STREAM_HEAD)
        if mode in _BROKEN:
            entry.end("failed")
            await self._break_off(exchange, mode, words)
        elif mode == "drip":
            for byte in words + last:
                exchange.chunk(bytes((byte,)))
                await asyncio.sleep(behaviour.drip_s)
        elif mode == "ping":
            await self._ping(exchange, behaviour.drip_s)
        elif mode == "huge":
            await self._huge(exchange)
        elif mode == "no_choices":
            exchange.chunk(b"data: " + _encode(self._frame("chat.completion.chunk", [], reply.usage)) + b"\n\ndata: [DONE]\n\n")
        else:
            await self._by_words(exchange, reply.text, behaviour.word_s)
            exchange.chunk(last)
        entry.end("answered")
        exchange.write(b"0\r\n\r\n")

    async def _ping(self, exchange: Exchange, every_s: float) -> None:
        while True:
            exchange.chunk(b": ping\n\n")
            await asyncio.sleep(every_s)

    async def _by_words(self, exchange: Exchange, text: str, word_s: float) -> None:
        if not word_s:
            exchange.chunk(self._event({"role": "assistant", "content": text}))
            return
        for n, word in enumerate(text.split(" ")):
            exchange.chunk(self._event({"content": word if n == 0 else " " + word}))
            await asyncio.sleep(word_s)

    async def _break_off(self, exchange: Exchange, mode: str, words: bytes) -> None:
        if mode == "truncated":
            exchange.chunk(words[: len(words) // 2])
            return
        exchange.chunk(words)
        if mode == "stream_error":
            exchange.chunk(b'data: {"error":{"message":"engine died","type":"server_error","code":500}}\n\n')
        elif mode == "hang_midway":
            await asyncio.Event().wait()
        elif mode == "close_midway":
            exchange.cut()

    async def _huge(self, exchange: Exchange) -> None:
        event = self._event({"content": "All work and no play. " * 3000})
        for _ in range(_HUGE_BYTES // len(event)):
            exchange.chunk(event)
            await asyncio.sleep(0)


async def _drip(exchange: Exchange, data: bytes, every_s: float) -> None:
    for byte in data:
        exchange.write(bytes((byte,)))
        await asyncio.sleep(every_s)
