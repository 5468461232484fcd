"""The scripted model's HTTP paths: a model server's (/v1/..., /tokenize, /health, /metrics) and its own (/_script, /_log, /_release)."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qs

import msgspec

from inference.scripted import about, schema, vectors
from inference.scripted.asked import ChatRequest, EmbedRequest, last_user
from inference.scripted.http import Exchange
from inference.scripted.played import Played
from inference.scripted.ranks import Rank, pick
from inference.scripted.script import Behaviour, Entry, Script
from inference.scripted.stream import Reply, stream

_decode_chat = msgspec.json.Decoder(ChatRequest).decode
_decode_embed = msgspec.json.Decoder(EmbedRequest).decode
_THOUGHT = "The person wants an answer, so one is given."
#: Paths below this redirect permanently, as a server that has moved does.
_MOVED = "/moved"

#: Modes that are one fixed response: status, body, content type, further headers.
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


class ScriptedModel:
    """Answers requests by the script."""

    def __init__(self, script: Script, played: Played) -> None:
        self.script = script
        self._played = played
        self._ranks = [Rank(played) for _ in range(played.ranks)]
        self._held: list[asyncio.Event] = []
        self._rejected = 0

    async def handle(self, exchange: Exchange) -> None:
        """Answer one request."""
        path = exchange.path
        if path.startswith("/_"):
            self._control(exchange)
        elif path.startswith(_MOVED):
            exchange.whole(308, b"", "text/plain", f"location: {path.removeprefix(_MOVED)}\r\n")
        elif path.startswith("/v1/") and self._played.key and exchange.headers.get("authorization") != f"Bearer {self._played.key}":
            _complain(exchange, 401, "Unauthorized", "authentication_error")
        elif path == "/v1/chat/completions" and exchange.method == "POST":
            await self._chat(exchange)
        elif path == "/v1/embeddings" and exchange.method == "POST":
            await self._embed(exchange)
        else:
            self._tell(exchange)

    def _tell(self, exchange: Exchange) -> None:
        """Answer questions about the server itself."""
        path, flavour = exchange.path, self._played.flavour
        if path == "/v1/models":
            exchange.json(200, about.models(self._played))
        elif path == "/health":
            exchange.json(200, {"status": "ok"})
        elif path == "/tokenize" and flavour != "hosted":
            self._tokenize(exchange)
        elif path == "/metrics" and flavour != "hosted":
            exchange.whole(200, about.metrics(self._played, self._ranks, self._rejected).encode(), "text/plain")
        elif path == "/version" and flavour == "vllm":
            exchange.json(200, {"version": about.VLLM_VERSION})
        else:
            _complain(exchange, 404, "not found", "not_found_error")

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
        if self._played.flavour == "llamacpp":
            exchange.json(200, {"tokens": list(range(len(self._played.split(str(body.get("content", ""))))))})
        elif "prompt" in body:
            count = len(self._played.split(str(body["prompt"])))
            exchange.json(200, {"count": count, "max_model_len": 8192, "tokens": list(range(count))})
        else:
            _complain(exchange, 400, "prompt: field required")

    async def _embed(self, exchange: Exchange) -> None:
        entry = self.script.enter(exchange.body, exchange.headers)
        try:
            request = _decode_embed(exchange.body)
        except msgspec.DecodeError as error:
            entry.end("failed")
            _complain(exchange, 400, str(error))
            return
        texts = [request.input] if isinstance(request.input, str) else request.input
        behaviour = self.script.choose(texts[-1] if texts else "")
        played = self._played
        count = sum(len(played.split(text)) for text in texts)
        try:
            await self._wait(behaviour, behaviour.latency_s)
            if self._fails(exchange, behaviour, entry):
                return
            if behaviour.mode == "toolong" or any(0 < played.context < len(played.split(text)) for text in texts):
                entry.end("failed")
                exchange.json(400, self._too_long(count))
                return
            data = vectors.rows(texts, played.dimensions, behaviour.vectors)
            entry.end("answered")
            usage = {"prompt_tokens": count, "total_tokens": count}
            body = msgspec.json.encode({"object": "list", "model": played.model, "data": data, "usage": usage})
            exchange.whole(200, body.replace(b"[null,", b"[NaN,") if behaviour.vectors == "nan" else body, "application/json")
        except asyncio.CancelledError:
            entry.end("dropped")

    async def _chat(self, exchange: Exchange) -> None:
        entry = self.script.enter(exchange.body, exchange.headers)
        try:
            request = _decode_chat(exchange.body)
        except msgspec.DecodeError as error:
            entry.end("failed")
            _complain(exchange, 400, str(error))
            return
        if self._turns_away(exchange, request):
            entry.end("failed")
            return
        wanted = exchange.headers.get("x-data-parallel-rank", "")
        rank = pick(self._ranks, wanted if self._played.flavour == "vllm" else "")
        if rank is None:
            entry.end("failed")
            _complain(exchange, 400, f"data_parallel_rank {wanted} is out of range [0, {len(self._ranks)}).")
            return
        entry.rank = self._ranks.index(rank)
        try:
            await rank.enter(request.priority if isinstance(request.priority, int) else 0)
            try:
                await self._run(exchange, request, rank, entry)
            finally:
                rank.leave()
        except asyncio.CancelledError:
            # The client went away. It cannot be the end of the event loop, since the process simply exits then.
            entry.end("dropped")

    def _turns_away(self, exchange: Exchange, request: ChatRequest) -> bool:
        """Refuse a request that the imitated server would not even queue; return whether it was refused."""
        played = self._played
        if played.flavour != "llamacpp" and request.model not in {"", played.model}:
            _complain(exchange, 404, f"The model `{request.model}` does not exist.", "NotFoundError")
        elif refused := sorted(played.refused & msgspec.json.decode(exchange.body, type=dict[str, Any]).keys()):
            _complain(exchange, 400, f"Unsupported parameter: '{refused[0]}' is not supported with this model.")
        elif played.flavour == "vllm" and (problem := _bad_field(request)):
            _complain(exchange, 400, problem)
        elif complaint := played.complaint(request.messages):
            _complain(exchange, 500 if played.flavour == "llamacpp" else 400, complaint)
        elif request.response_format and played.json_schema == "refuses":
            _complain(exchange, 400, "response_format is not supported")
        elif 0 < played.admit <= sum(rank.in_flight for rank in self._ranks):
            self._rejected += 1
            _complain(exchange, 503, f"The queue is full: {played.admit} requests are in flight", "ServiceUnavailableError")
        else:
            return False
        return True

    async def _run(self, exchange: Exchange, request: ChatRequest, rank: Rank, entry: Entry) -> None:
        """Answer a request that has got a slot."""
        asked = last_user(request.messages)
        behaviour = self.script.choose(asked)
        if not behaviour.prefill_s:
            await self._wait(behaviour, behaviour.latency_s)
        if self._fails(exchange, behaviour, entry):
            return
        played = self._played
        messages = played.heard(request.messages)
        tokens, ends = played.split_prompt(messages)
        total = len(tokens)
        if behaviour.mode == "toolong" or 0 < played.context < total:
            entry.end("failed")
            exchange.json(400, self._too_long(total))
            return
        salt = request.cache_salt if isinstance(request.cache_salt, str) else ""
        cached, trail = rank.cache.enter(messages, tokens, ends, salt)
        rank.queried += total
        rank.hit += cached
        if behaviour.prefill_s:
            await self._wait(behaviour, behaviour.latency_s + behaviour.prefill_s * (total - cached) / 1000)
        reply = self._reply(request, behaviour, asked, entry)
        answer = played.split(reply.text)
        rank.cache.keep(trail, answer)
        reply.usage |= {
            "prompt_tokens": total,
            "completion_tokens": len(answer),
            "total_tokens": total + len(answer),
            "prompt_tokens_details": {"cached_tokens": cached},
        }
        entry.answer, entry.usage = reply.text, reply.usage
        if behaviour.usage is not None:
            reply.usage = behaviour.usage
        if request.stream:
            await stream(exchange, behaviour, reply)
        else:
            entry.end("answered")
            exchange.json(200, reply.whole(no_choices=behaviour.mode == "no_choices"))

    def _reply(self, request: ChatRequest, behaviour: Behaviour, asked: str, entry: Entry) -> Reply:
        played = self._played
        text = behaviour.words(asked)
        guided = schema.answer_to(request.response_format) if request.response_format and played.json_schema == "follows" else None
        if guided:
            # With guided decoding there is no other output, and no thoughts.
            text = guided
        elif played.reasoning == "tags":
            text = f"<think>\n{_THOUGHT}\n</think>\n\n{text}"
        thought = _THOUGHT if played.reasoning == "field" else ""
        reason = behaviour.finish_reason or ("length" if behaviour.mode == "loop" else "stop")
        piece = request.stream_interval if played.flavour == "vllm" and isinstance(request.stream_interval, int) else 1
        return Reply(model=played.model, text=text, thought=thought, usage={}, reason=reason, entry=entry, piece=piece)

    async def _wait(self, behaviour: Behaviour, latency_s: float) -> None:
        if latency_s:
            await asyncio.sleep(latency_s)
        if behaviour.mode == "hold":
            event = asyncio.Event()
            self._held.append(event)
            try:
                await event.wait()
            finally:
                self._held.remove(event)
        elif behaviour.mode == "hang":
            await asyncio.Event().wait()

    def _fails(self, exchange: Exchange, behaviour: Behaviour, entry: Entry) -> bool:
        """Fail before the first byte of an answer if the behaviour says so; return whether it failed."""
        if behaviour.mode in _REFUSALS:
            entry.end("failed")
            exchange.whole(*_REFUSALS[behaviour.mode])
        elif behaviour.mode == "close":
            entry.end("failed")
            exchange.cut()
        else:
            return False
        return True

    def _too_long(self, tokens: int) -> dict[str, Any]:
        context = self._played.context
        message = f"request ({tokens} tokens) exceeds the available context size ({context} tokens), try increasing it"
        kind = "exceed_context_size_error"
        return {"error": {"code": 400, "message": message, "type": kind, "n_prompt_tokens": tokens, "n_ctx": context}}


def _complain(exchange: Exchange, status: int, message: str, kind: str = "invalid_request_error") -> None:
    exchange.json(status, {"error": {"message": message, "type": kind, "code": status}})


def _bad_field(request: ChatRequest) -> str | None:
    """Say which of vLLM's own fields has a value that vLLM refuses."""
    if not isinstance(request.priority, int):
        return "priority: Input should be a valid integer"
    if request.cache_salt is not None and not (isinstance(request.cache_salt, str) and request.cache_salt):
        return "Parameter 'cache_salt' must be a non-empty string if provided."
    if request.stream_interval is not None and not (isinstance(request.stream_interval, int) and request.stream_interval > 0):
        return "stream_interval: Input should be a valid integer, greater than or equal to 1"
    return None
