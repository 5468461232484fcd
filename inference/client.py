"""Asks a model on any OpenAI-compatible server, and says by the class of the error what the caller should do.

Guarantee: a call ends by its total deadline and reads at most `max_response_bytes`, whatever the server does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import httpx
import msgspec
import structlog

from inference.breaker import Breaker
from inference.errors import AnswerCut, GarbageAnswer, ModelBusy, ModelRefused, ModelUnavailable, PromptTooLong
from inference.sse import Progress
from inference.transport import DEADLINE_PASSED, WIRE_ERRORS, Wire, read_at_most
from inference.types import Answer, Endpoint, Message, Timeouts
from wire.deadline import Deadline

log = structlog.get_logger()

#: An error's body is read to tell its kind; no server needs more to say it.
_ERROR_BODY_BYTES = 64 * 1024
_TOO_LONG_WORDS = (b"exceed_context_size", b"context_length_exceeded", b"maximum context length", b"maximum model length")
_BUSY_WORDS = (b"busy", b"queue", b"overload", b"capacity", b"too many", b"loading")


class _Words(msgspec.Struct):
    """One message of a request."""

    role: str
    content: str


class _Request(msgspec.Struct):
    """The body of a call; the fields are those that llama.cpp, vLLM and the hosted ones have in common."""

    model: str
    messages: list[_Words]
    max_tokens: int
    temperature: float
    top_p: float
    stream: bool = True
    stream_options: dict[str, bool] = msgspec.field(default_factory=lambda: {"include_usage": True})


_encode = msgspec.json.Encoder().encode


class ModelClient:
    """Talks to one endpoint; safe between threads."""

    def __init__(self, endpoint: Endpoint, *, timeouts: Timeouts, breaker: Breaker, max_response_bytes: int = 1024 * 1024) -> None:
        self.endpoint = endpoint
        self._timeouts = timeouts
        self._breaker = breaker
        self._cap = max_response_bytes
        headers = {"authorization": f"Bearer {endpoint.api_key}"} if endpoint.api_key else {}
        self._wire = Wire(endpoint.url, headers)

    def chat(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        temperature: float = 0.3,
        top_p: float = 0.9,
        on_text: Callable[[str], None] | None = None,
    ) -> Answer:
        """Return the model's whole answer; `on_text` gets the whole text so far each time it grows.

        Raises ModelUnavailable, ModelBusy, AnswerCut, ModelRefused, PromptTooLong, or GarbageAnswer.
        """
        body = self._body(messages, max_tokens=max_tokens, temperature=temperature, top_p=top_p)
        self._breaker.enter()
        try:
            answer = self._ask(body, on_text)
        except (ModelBusy, AnswerCut):
            self._breaker.busy()
            raise
        except ModelUnavailable:
            self._breaker.failed()
            raise
        except (ModelRefused, GarbageAnswer):
            self._breaker.succeeded()
            raise
        self._breaker.succeeded()
        return answer

    def _body(self, messages: Sequence[Message], *, max_tokens: int, temperature: float, top_p: float) -> bytes:
        # Servers differ here: llama.cpp invents text for no messages, and takes any temperature. So it is checked on this side.
        if not messages or max_tokens < 1 or not 0 <= temperature <= 2 or not 0 < top_p <= 1:
            raise ModelRefused("a call wants messages, max_tokens from 1, temperature from 0 to 2, top_p above 0 to 1")
        words = [_Words(m.role, m.content) for m in messages]
        request = _Request(self.endpoint.model, words, max_tokens, temperature, top_p)
        try:
            return _encode(request)
        except UnicodeEncodeError as error:
            raise ModelRefused("a message holds half a character (a lone surrogate)") from error

    def _ask(self, body: bytes, on_text: Callable[[str], None] | None) -> Answer:
        started = time.monotonic()
        end = started + self._timeouts.total_s
        first = min(started + self._timeouts.first_token_s, end)
        progress = Progress(on_text)
        try:
            response, deadline = self._wire.post("/chat/completions", body, connect_s=self._timeouts.connect_s, until=first)
            try:
                if response.status_code != 200:
                    raise self._refusal(response)
                self._read(response, progress, deadline, end)
            finally:
                response.close()
        except DEADLINE_PASSED as error:
            if progress.text and time.monotonic() >= end:
                raise AnswerCut(progress.text) from error
            raise ModelUnavailable("the model did not answer in time") from error
        except WIRE_ERRORS as error:
            raise ModelUnavailable("the model server cannot be reached or broke off") from error
        return progress.answer(started=started, ended=time.monotonic())

    def _read(self, response: httpx.Response, progress: Progress, deadline: Deadline, end: float) -> None:
        if not response.headers.get("content-type", "").startswith("text/event-stream"):
            # A server that cannot stream says it all at once.
            deadline.at = end
            whole = read_at_most(response, self._cap)
            if whole is None:
                raise GarbageAnswer("the response is larger than allowed")
            progress.take_whole(whole)
            return
        taken = 0
        for piece in response.iter_raw():
            taken += len(piece)
            if taken > self._cap:
                raise GarbageAnswer("the response is larger than allowed")
            if progress.feed(piece) and progress.first_at is not None:
                deadline.at = min(time.monotonic() + self._timeouts.silence_s, end)
            if progress.done:
                # Without this last read the connection could not be kept for the next call.
                deadline.at = min(time.monotonic() + 0.5, end)
        progress.end()

    def _refusal(self, response: httpx.Response) -> ModelUnavailable | ModelRefused | GarbageAnswer:
        """Say by status and body what a response that is not 200 means."""
        status = response.status_code
        body = (read_at_most(response, _ERROR_BODY_BYTES) or b"").lower()
        log.info("model_server_refused", endpoint=self.endpoint.name, status=status, bytes=len(body))
        if status == 429 or (status == 503 and _is_busy(body, response.headers)):
            return ModelBusy(f"the model server is full ({status})")
        if status >= 500 or status in (408, 425):
            return ModelUnavailable(f"the model server failed ({status})")
        if status in (400, 413, 422) and any(words in body for words in _TOO_LONG_WORDS):
            return PromptTooLong()
        if 300 <= status < 400:
            return ModelRefused(f"the model server redirects ({status}): set its final address")
        if status < 300:
            return GarbageAnswer(f"the model server answered {status}")
        return ModelRefused(f"the model server rejects the request ({status})")


def _is_busy(body: bytes, headers: httpx.Headers) -> bool:
    """Whether a 503 comes from a full model server rather than from a proxy before a dead one.

    A model server says so in a JSON error (vLLM's admission, llama.cpp while it loads) or tells when to come again.
    """
    return "retry-after" in headers or b'"error"' in body or any(words in body for words in _BUSY_WORDS)
