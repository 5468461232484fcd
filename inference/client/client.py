"""Calls a model on any OpenAI-compatible server. The class of an error tells the caller what to do.

Guarantee: a call ends by its total deadline and reads at most `max_response_bytes`, whatever the server does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import httpx
import structlog

from inference.client.answer_body import AnswerBody
from inference.client.body import body_of
from inference.client.breaker import Breaker
from inference.client.pace import Pace
from inference.client.patience import Patience
from inference.client.reader import Progress
from inference.client.refusal import ERROR_BODY_BYTES, refusal
from inference.client.shown import Asked
from inference.client.stump import stump_of
from inference.client.transport import DEADLINE_PASSED, WIRE_ERRORS, Packed, Wire, key_header, pieces_of
from inference.client.unaccepted import unaccepted
from inference.errors import AnswerCut, GarbageAnswer, InferenceError, ModelBusy, ModelRefused, ModelUnavailable, OutOfQuota
from inference.prompt_style import for_endpoint
from inference.types import Answer, Endpoint, Hints, Message, Timeouts
from wire.response import Response

log = structlog.get_logger()
_NO_HINTS = Hints()
#: An answer in so few pieces is read by its own thread: to be woken for them itself costs less than to have another thread woken first.
_FEW_PIECES = 3
_OnText = Callable[[str], None] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """One call, and its answer as far as it has come."""

    body: bytes
    rank: Mapping[str, str] | None
    asked: Asked
    max_tokens: int
    progress: Progress
    #: Whether somebody is shown the answer while it grows.
    is_watched: bool


class ModelClient:
    """Calls one endpoint; safe between threads."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        timeouts: Timeouts,
        breaker: Breaker,
        max_response_bytes: int = 1024 * 1024,
        comes_in_pieces: bool = False,
    ) -> None:
        """comes_in_pieces: whether its answers do, until the first one shows it."""
        self.endpoint = endpoint
        self._measured = endpoint.traits
        self._timeouts = timeouts
        self._breaker = breaker
        self._cap = max_response_bytes
        self._wire = Wire(endpoint.url, key_header(endpoint))
        self._patience = Patience()
        self._pace = Pace(silence_s=timeouts.silence_s)
        #: Whether the last answer came so: then the listener's thread is woken for many answers at once, and takes them from their heads on.
        self._comes_in_pieces = comes_in_pieces
        #: One header for each data-parallel rank; none where there is one rank.
        self._ranks = [{"x-data-parallel-rank": str(rank)} for rank in range(endpoint.traits.ranks)] if endpoint.traits.ranks > 1 else []

    def chat(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        temperature: float = 0.3,
        top_p: float = 0.9,
        on_text: _OnText = None,
        until: float | None = None,
        hints: Hints = _NO_HINTS,
    ) -> Answer:
        """Return the model's whole answer; `on_text` gets the whole text so far each time it grows.

        `until` is a monotonic time by which the call ends, where that is before its total deadline.
        The messages must be in a form that the endpoint accepts (`prompt_style.for_endpoint`). Hints are sent only where the endpoint's traits
        say that it understands them. A reasoning model gets more than `max_tokens`, so that its thoughts fit too.

        An answer that has ended is whole, whatever the connection does afterwards.

        Raises ModelUnavailable, ModelBusy, OutOfQuota, AnswerCut, ModelRefused, ContentFiltered, PromptTooLong, or GarbageAnswer.
        """
        # Somebody who watches sees each word as it comes.
        piece = 1 if on_text is not None else self._pace.piece

        def made(endpoint: Endpoint) -> bytes:
            # The caller made the messages for what was measured; a refusal may have taught more.
            shown = messages if endpoint.traits is self._measured else for_endpoint(messages, endpoint.traits)
            return body_of(endpoint, shown, max_tokens=max_tokens, temperature=temperature, top_p=top_p, hints=hints, piece=piece)

        rank = self._ranks[hints.affinity % len(self._ranks)] if self._ranks and hints.affinity is not None else None
        asked = Asked(texts=[message.content for message in messages], key=self.endpoint.api_key)
        call = _Call(
            body=made(self.endpoint),
            rank=rank,
            asked=asked,
            max_tokens=max_tokens,
            progress=Progress(on_text, asked),
            is_watched=on_text is not None,
        )
        self._breaker.enter()
        try:
            answer = self._accepted(call, made, on_text, until)
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
        self._pace.took(answer)
        return answer

    def _accepted(self, call: _Call, made: Callable[[Endpoint], bytes], on_text: _OnText, until: float | None) -> Answer:
        """Ask; where the server refuses a field that can be left out, ask again without it, and leave it out from then on."""
        end = time.monotonic() + self._timeouts.total_s
        end = end if until is None else min(end, until)
        endpoint = self.endpoint
        while True:
            try:
                answer = self._ask(call, end)
            except _Unaccepted as refused:
                error, traits = refused.error, unaccepted(refused.status, refused.body, endpoint.traits)
            else:
                self.endpoint = endpoint
                return answer
            try:
                # Outside of the handler, and not kept here: an error in a cycle with this frame would keep the connection open.
                if traits is None:
                    raise error
            finally:
                del error
            endpoint = replace(endpoint, traits=traits)
            call = replace(call, body=made(endpoint), progress=Progress(on_text, call.asked))

    def _ask(self, call: _Call, end: float) -> Answer:
        try:
            answer = self._streamed(call, end)
            stump = stump_of(answer, call.asked.texts, call.max_tokens, self.endpoint.traits)
            if stump is not None:
                raise stump
        except InferenceError as error:
            error.text, error.thoughts, error.usage = call.progress.text, call.progress.thoughts, call.progress.usage
            raise
        return answer

    def _streamed(self, call: _Call, end: float) -> Answer:
        started = time.monotonic()
        first = min(started + self._timeouts.first_token_s, end)
        progress = call.progress
        body = AnswerBody(
            progress, self._wire.deadline, timeouts=self._timeouts, patience=self._patience, cap=self._cap, first=first, end=end
        )
        try:
            response, _ = self._wire.post(
                "/chat/completions",
                call.body,
                connect_s=self._timeouts.connect_s,
                until=first,
                headers=call.rank,
                hear=body.hear if self._comes_in_pieces and not call.is_watched else None,
            )
            try:
                if not 200 <= response.status_code < 300:
                    raise self._refused(response, call.asked)
                body.read(response, is_watched=call.is_watched)
                self._comes_in_pieces = body.pieces > _FEW_PIECES
            finally:
                response.close()
        except WIRE_ERRORS as error:
            self._broke(progress, error, end)
        return progress.answer(started=started, ended=time.monotonic())

    def _broke(self, progress: Progress, error: httpx.TransportError, end: float) -> None:
        """Note how the connection ended. Raises what that means, unless the answer is whole: then it means nothing."""
        is_late = isinstance(error, DEADLINE_PASSED)
        try:
            progress.end(is_clean=False)
        except ModelUnavailable as found:
            if is_late and progress.text and time.monotonic() >= end:
                raise AnswerCut(progress.text) from error
            if type(found) is not ModelUnavailable or found.said:
                raise
            raise ModelUnavailable(_how(error)) from error
        if is_late:
            self._patience.was_in_vain(is_counted=progress.needs_nothing)

    def _refused(self, response: Response, asked: Asked) -> Exception:
        body = bytearray()
        try:
            for piece in pieces_of(response):
                body += piece
                if len(body) > ERROR_BODY_BYTES:
                    break
        except WIRE_ERRORS:
            # The status has come; what came of the words must do.
            pass
        log.info("model_server_refused", endpoint=self.endpoint.name, status=response.status_code, bytes=len(body))
        words = bytes(body[:ERROR_BODY_BYTES])
        error = refusal(response.status_code, response.headers, words, asked)
        error.status = response.status_code
        # The other kinds say that the request itself was understood.
        return _Unaccepted(error, response.status_code, words) if type(error) in (ModelRefused, ModelUnavailable) else error


class _Unaccepted(Exception):
    """A refusal that may name a field which can be left out."""

    def __init__(self, error: InferenceError, status: int, body: bytes) -> None:
        super().__init__(error)
        self.error, self.status, self.body = error, status, body


def _how(error: httpx.TransportError) -> str:
    if isinstance(error, Packed):
        return str(error)
    return "the model did not answer in time" if isinstance(error, DEADLINE_PASSED) else "the model server cannot be reached or broke off"
