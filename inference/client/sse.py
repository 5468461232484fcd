"""Reads a chat completion while it streams: server-sent events in, text and token counts out. No sockets; the clock only notes times."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from inference.errors import ContentFiltered, GarbageAnswer, ModelBusy, ModelRefused, ModelUnavailable, PromptTooLong
from inference.types import Answer, Usage

_DONE = b"[DONE]"


class _Delta(msgspec.Struct):
    content: str | None = None
    #: What reasoning models write before the answer, under two names. It shows that the server is working, and is not kept.
    reasoning_content: str | None = None
    reasoning: str | None = None


class _Choice(msgspec.Struct):
    index: int = 0
    delta: _Delta | None = None
    message: _Delta | None = None
    finish_reason: str | None = None


class _Details(msgspec.Struct):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Details | None = None


class _Event(msgspec.Struct):
    """What is read of a chunk or of a whole completion; everything else is ignored."""

    choices: list[_Choice] = []
    usage: _Usage | None = None
    error: msgspec.Raw = msgspec.Raw()


_decode = msgspec.json.Decoder(_Event).decode


class Progress:
    """An answer that is being received. `feed` takes bytes as they come; `answer` returns the whole after `end`."""

    def __init__(self, on_text: Callable[[str], None] | None = None) -> None:
        self._on_text = on_text
        self._pieces: list[str] = []
        self._rest = b""
        self._usage = _Usage()
        self._finish = ""
        #: When the first token came, by the monotonic clock.
        self.first_at: float | None = None
        #: Whether the server said that the answer is complete.
        self.done = False

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join(self._pieces)

    def feed(self, piece: bytes) -> bool:
        """Take bytes; return whether they held an event. A comment is not one: a server that only sends pings counts as silent."""
        lines = (self._rest + piece).split(b"\n") if self._rest else piece.split(b"\n")
        self._rest = lines.pop()
        events = grown = False
        for line in lines:
            if line.startswith(b"data:"):
                events = True
                grown |= self._event(line[5:].strip())
        if grown and self._on_text is not None:
            self._on_text(self.text)
        return events

    def take_whole(self, body: bytes) -> None:
        """Take a completion that came in one piece."""
        if self._event(body) and self._on_text is not None:
            self._on_text(self.text)
        self.done = True

    def end(self) -> None:
        """Note that the stream has ended. Raises GarbageAnswer when it stopped in the middle."""
        if self._rest.strip():
            self.feed(b"\n")
        if not self.done and not self._finish:
            raise GarbageAnswer("the answer ends in the middle")
        if self._finish == "content_filter":
            raise ContentFiltered
        if self._finish in ("abort", "error"):
            raise ModelUnavailable("the model server ended the answer")

    def answer(self, *, started: float, ended: float) -> Answer:
        """Return the whole answer."""
        details = self._usage.prompt_tokens_details
        usage = Usage(
            tokens_in=max(0, self._usage.prompt_tokens or 0),
            tokens_cached=max(0, (details.cached_tokens if details else 0) or 0),
            tokens_out=max(0, self._usage.completion_tokens or 0),
        )
        first = ended if self.first_at is None else self.first_at
        return Answer(
            text=self.text,
            usage=usage,
            first_token_ms=(first - started) * 1000,
            total_ms=(ended - started) * 1000,
            finish_reason="length" if self._finish == "length" else "stop" if self._finish in ("", "stop") else "cut",
        )

    def _event(self, data: bytes) -> bool:
        """Take one event; return whether the text grew."""
        if data == _DONE:
            self.done = True
            return False
        try:
            event = _decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise GarbageAnswer("the answer is not the JSON of a completion") from error
        if bytes(event.error) not in (b"", b"null"):
            raise _meaning(bytes(event.error))
        if event.usage is not None:
            self._usage = event.usage
        grown = False
        for choice in event.choices:
            if choice.index == 0:
                grown |= self._choice(choice)
        return grown

    def _choice(self, choice: _Choice) -> bool:
        delta = choice.delta or choice.message
        if choice.finish_reason:
            self._finish = choice.finish_reason
        if delta is None:
            return False
        if self.first_at is None and (delta.content or delta.reasoning_content or delta.reasoning):
            self.first_at = time.monotonic()
        if delta.content:
            self._pieces.append(delta.content)
        return bool(delta.content)


def _meaning(error: bytes) -> ModelUnavailable | ModelRefused:
    """Say what an error inside a stream means. The server sends the status 200 before it knows of the error."""
    lowered = error.lower()
    if b"exceed_context_size" in lowered or b"context_length" in lowered or b"maximum context length" in lowered:
        return PromptTooLong()
    if b"busy" in lowered or b"503" in lowered or b"429" in lowered:
        return ModelBusy()
    if b'"code":400' in lowered.replace(b" ", b"") or b"invalid_request" in lowered:
        return ModelRefused()
    return ModelUnavailable("the model server failed while it answered")
