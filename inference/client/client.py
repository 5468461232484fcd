"""Calls a model on any OpenAI-compatible server. The class of an error tells the caller what to do.

Guarantee: a call ends by its total deadline and reads at most `max_response_bytes`, whatever the server does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import httpx
import structlog

from inference.client.body import body_of
from inference.client.breaker import Breaker
from inference.client.refusal import ERROR_BODY_BYTES, refusal
from inference.client.sse import Progress
from inference.client.transport import DEADLINE_PASSED, WIRE_ERRORS, Wire, key_header, read_at_most
from inference.errors import AnswerCut, GarbageAnswer, InferenceError, ModelBusy, ModelRefused, ModelUnavailable, OutOfQuota
from inference.types import Answer, Endpoint, Hints, Message, Timeouts
from wire.deadline import Deadline

log = structlog.get_logger()


_NO_HINTS = Hints()


class ModelClient:
    """Calls one endpoint; safe between threads."""

    def __init__(self, endpoint: Endpoint, *, timeouts: Timeouts, breaker: Breaker, max_response_bytes: int = 1024 * 1024) -> None:
        self.endpoint = endpoint
        self._timeouts = timeouts
        self._breaker = breaker
        self._cap = max_response_bytes
        self._wire = Wire(endpoint.url, key_header(endpoint))
        #: One header for each data-parallel rank; none where there is one rank.
        self._ranks = [{"x-data-parallel-rank": str(rank)} for rank in range(endpoint.traits.ranks)] if endpoint.traits.ranks > 1 else []

    def chat(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        temperature: float = 0.3,
        top_p: float = 0.9,
        on_text: Callable[[str], None] | None = None,
        until: float | None = None,
        hints: Hints = _NO_HINTS,
    ) -> Answer:
        """Return the model's whole answer; `on_text` gets the whole text so far each time it grows.

        `until` is a monotonic time by which the call ends, where that is before its total deadline.
        The messages must be in a form that the endpoint accepts (`prompt_style.for_endpoint`). Hints are sent only where the endpoint's traits
        say that it understands them. A reasoning model gets more than `max_tokens`, so that its thoughts fit too.

        Raises ModelUnavailable, ModelBusy, AnswerCut, ModelRefused, PromptTooLong, or GarbageAnswer.
        """
        body = body_of(self.endpoint, messages, max_tokens=max_tokens, temperature=temperature, top_p=top_p, hints=hints)
        rank = self._ranks[hints.affinity % len(self._ranks)] if self._ranks and hints.affinity is not None else None
        self._breaker.enter()
        try:
            answer = self._ask(body, rank, on_text, until)
        except (ModelBusy, OutOfQuota, AnswerCut):
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

    def _ask(self, body: bytes, rank: Mapping[str, str] | None, on_text: Callable[[str], None] | None, until: float | None) -> Answer:
        progress = Progress(on_text)
        try:
            return self._streamed(body, rank, progress, until)
        except InferenceError as error:
            error.text = progress.text
            raise

    def _streamed(self, body: bytes, rank: Mapping[str, str] | None, progress: Progress, until: float | None) -> Answer:
        started = time.monotonic()
        end = started + self._timeouts.total_s
        end = end if until is None else min(end, until)
        first = min(started + self._timeouts.first_token_s, end)
        try:
            response, deadline = self._wire.post("/chat/completions", body, connect_s=self._timeouts.connect_s, until=first, headers=rank)
            try:
                if response.status_code != 200:
                    raise self._refused(response)
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
            # A server that cannot stream sends the whole answer at once.
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
                # The end of the response must be read, or the connection cannot be used for the next call.
                deadline.at = min(time.monotonic() + 0.5, end)
        progress.end()

    def _refused(self, response: httpx.Response) -> Exception:
        body = read_at_most(response, ERROR_BODY_BYTES) or b""
        log.info("model_server_refused", endpoint=self.endpoint.name, status=response.status_code, bytes=len(body))
        error = refusal(response.status_code, response.headers, body)
        error.status = response.status_code
        return error
