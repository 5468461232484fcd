"""How the scripted model streams an answer, and how a stream goes wrong."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import msgspec

from inference.scripted.http import Exchange
from inference.scripted.script import Behaviour, Entry

_STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n"
_HUGE_BYTES = 10 * 1024 * 1024
#: Modes that begin a stream and break it.
_BROKEN = frozenset({"truncated", "close_midway", "hang_midway", "stream_error"})
_encode = msgspec.json.Encoder().encode


@dataclass(slots=True, kw_only=True)
class Reply:
    """The content of a response, and its entry in the log."""

    model: str
    text: str
    #: Its thoughts, sent in a separate field; empty: none.
    thought: str
    usage: dict[str, Any]
    reason: str
    entry: Entry
    #: How many words come at once, after the first.
    piece: int = 1

    def frame(self, kind: str, choices: list[dict[str, Any]], usage: dict[str, Any] | None) -> dict[str, Any]:
        """Return a completion, or a chunk of one."""
        head = {"id": f"chatcmpl-{self.entry.n}", "object": kind, "created": int(time.time()), "model": self.model, "choices": choices}
        return head | {"usage": usage} if usage else head

    def whole(self, *, no_choices: bool) -> dict[str, Any]:
        """Return the completion in one piece."""
        message = {"role": "assistant", "content": self.text} | ({"reasoning_content": self.thought} if self.thought else {})
        choices = [] if no_choices else [{"index": 0, "message": message, "finish_reason": self.reason}]
        return self.frame("chat.completion", choices, self.usage)

    def event(self, delta: dict[str, str], reason: str | None = None) -> bytes:
        """Return one event of the stream."""
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return b"data: " + _encode(self.frame("chat.completion.chunk", [choice], None)) + b"\n\n"

    def words(self) -> bytes:
        """Return the whole text, in one event or two."""
        said = self.event({"role": "assistant", "content": self.text})
        return self.event({"role": "assistant", "reasoning_content": self.thought}) + said if self.thought else said

    def end(self) -> bytes:
        """Return the events after the last word."""
        return self.event({}, self.reason) + self.counted()

    def counted(self) -> bytes:
        """Return the events with the usage and the end."""
        counts = b"data: " + _encode(self.frame("chat.completion.chunk", [], self.usage)) + b"\n\n" if self.usage else b""
        return counts + b"data: [DONE]\n\n"


async def stream(exchange: Exchange, behaviour: Behaviour, reply: Reply) -> None:
    """Stream the answer in the way of the behaviour."""
    mode, entry = behaviour.mode, reply.entry
    words, last = reply.words(), reply.end()
    if mode in ("normal", "hold") and not behaviour.word_s:
        # The common case, in one write, which is cheap. It is logged first, so that whoever has the answer finds it in the log.
        entry.end("answered")
        exchange.write(_STREAM_HEAD + b"%x\r\n%s\r\n0\r\n\r\n" % (len(words) + len(last), words + last))
        return
    if mode == "drip_headers":
        await _drip(exchange, _STREAM_HEAD[:-2] + b"x-more: " + b"x" * 4096, behaviour.drip_s)
    exchange.write(_STREAM_HEAD)
    if mode in _BROKEN:
        entry.end("failed")
        await _break_off(exchange, mode, words)
    elif mode == "drip":
        for byte in words + last:
            exchange.chunk(bytes((byte,)))
            await asyncio.sleep(behaviour.drip_s)
    elif mode == "ping":
        await _ping(exchange, behaviour.drip_s)
    elif mode == "huge":
        await _huge(exchange, reply.event({"content": "All work and no play. " * 3000}))
    elif mode == "no_choices":
        exchange.chunk(reply.counted())
    elif not behaviour.word_s:
        exchange.chunk(words)
        exchange.chunk(last)
    else:
        await _by_words(exchange, reply, behaviour.word_s)
        exchange.chunk(last)
    entry.end("answered")
    exchange.write(b"0\r\n\r\n")


async def _by_words(exchange: Exchange, reply: Reply, word_s: float) -> None:
    if reply.thought:
        exchange.chunk(reply.event({"role": "assistant", "reasoning_content": reply.thought}))
    words = [word if n == 0 else " " + word for n, word in enumerate(reply.text.split(" "))]
    # As vLLM does it: the first at once, then so many in a piece, and what is left with the last.
    sent = 0
    for n in range(1, len(words) + 1):
        if n == 1 or n == len(words) or n - sent >= reply.piece:
            exchange.chunk(reply.event({"content": "".join(words[sent:n])}))
            sent = n
        await asyncio.sleep(word_s)


async def _ping(exchange: Exchange, every_s: float) -> None:
    while True:
        exchange.chunk(b": ping\n\n")
        await asyncio.sleep(every_s)


async def _break_off(exchange: Exchange, mode: str, words: bytes) -> None:
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


async def _huge(exchange: Exchange, event: bytes) -> None:
    for _ in range(_HUGE_BYTES // len(event)):
        exchange.chunk(event)
        await asyncio.sleep(0)


async def _drip(exchange: Exchange, data: bytes, every_s: float) -> None:
    for byte in data:
        exchange.write(bytes((byte,)))
        await asyncio.sleep(every_s)
