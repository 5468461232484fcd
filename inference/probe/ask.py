"""Sends a probe's requests to a model server: plain ones, each with its own deadline.

Guarantee: an answer that `chat` returns is the server's own. Silence, a full server, and a gateway in front of a dead one raise Unanswered.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from inference.client.transport import WIRE_ERRORS, Wire, key_header, read_at_most
from inference.probe.replies import Reply, Said, said
from inference.types import Endpoint, Timeouts

#: vLLM's metrics are the longest page that is read.
_LARGEST_PAGE = 4 * 1024 * 1024
_PAGE_S = 5.0
#: A server that did not answer twice in a row is not asked again.
_LOST = 2
#: How often to wait for a server that is full or limits its rate, and how long where it does not say; doubled each time.
_WAITS = 4
_WAIT_S = 1.0


class Unanswered(Exception):
    """A request has no answer that says what the server can do."""


class Asker:
    """One thread's requests to one endpoint. All of them end by `until` (monotonic)."""

    def __init__(self, endpoint: Endpoint, timeouts: Timeouts, *, until: float) -> None:
        self._endpoint, self._timeouts, self._until = endpoint, timeouts, until
        self._wire = Wire(endpoint.url, key_header(endpoint))
        self._outside_v1 = Wire(endpoint.url.rstrip("/").removesuffix("/v1"), key_header(endpoint))
        self._silent = 0
        #: Whether the server was full for longer than the probe waits.
        self.is_full = False

    @property
    def is_lost(self) -> bool:
        """Whether to stop asking: the server is full, stopped answering, or used up the time."""
        return self.is_full or self._silent >= _LOST or time.monotonic() >= self._until

    def page(self, path: str, *, outside_v1: bool = False) -> Reply:
        """Get a page below /v1, or one outside it."""
        wire = self._outside_v1 if outside_v1 else self._wire
        until = min(time.monotonic() + min(_PAGE_S, self._timeouts.total_s), self._until)
        try:
            response, _ = wire.get(path, connect_s=self._timeouts.connect_s, until=until)
            try:
                body = read_at_most(response, _LARGEST_PAGE)
            finally:
                response.close()
        except WIRE_ERRORS:
            return Reply()
        return Reply(status=response.status_code, body=body or b"", headers=response.headers)

    def chat(self, messages: Sequence[Mapping[str, Any]], **more: Any) -> Reply:
        """Return the server's own answer to a chat completion, with `try_chat`'s arguments. Raises Unanswered."""
        reply = self.try_chat(messages, **more)
        if reply.is_unanswered:
            raise Unanswered
        return reply

    def try_chat(
        self, messages: Sequence[Mapping[str, Any]], *, max_tokens: int = 1, headers: Mapping[str, str] | None = None, **fields: Any
    ) -> Reply:
        """Return the response to a chat completion with these further fields, whatever it is. A full server is asked again."""
        request = {"model": self._endpoint.model, "messages": messages, "max_tokens": max_tokens, "temperature": 0.0, **fields}
        body = msgspec.json.encode(request)
        longest = self._timeouts.first_token_s if max_tokens == 1 else self._timeouts.total_s
        waited = 0
        while not self.is_lost:
            reply = self._post(body, headers, min(time.monotonic() + longest, self._until))
            self._silent = 0 if reply.status else self._silent + 1
            if not reply.is_full or not self.wait(waited, reply.retry_after_s):
                return reply
            waited += 1
        return Reply()

    def wait(self, waited: int, retry_after_s: float = 0.0) -> bool:
        """Wait for a full server, for as long as it says. Return False, and ask nothing more, when the probe has waited enough."""
        pause_s = retry_after_s or _WAIT_S * 2**waited
        self.is_full = waited >= _WAITS or time.monotonic() + pause_s >= self._until
        if not self.is_full:
            time.sleep(pause_s)
        return not self.is_full

    def said(self, messages: Sequence[Mapping[str, Any]], **more: Any) -> Said | None:
        """Return what the model says; None if it does not answer. Raises Unanswered."""
        reply = self.chat(messages, **more)
        return said(reply.body) if reply.status == 200 else None

    def count(self, text: str) -> int | None:
        """Return how many tokens a prompt of this one user message has; None where the server does not count. Raises Unanswered."""
        answer = self.said([user(text)])
        return answer.tokens_in if answer else None

    def _post(self, body: bytes, headers: Mapping[str, str] | None, until: float) -> Reply:
        try:
            response, _ = self._wire.post("/chat/completions", body, connect_s=self._timeouts.connect_s, until=until, headers=headers)
            try:
                answer = read_at_most(response, _LARGEST_PAGE)
            finally:
                response.close()
        except WIRE_ERRORS:
            return Reply()
        return Reply(status=response.status_code, body=answer or b"", headers=response.headers)


def user(content: str | list[dict[str, Any]]) -> dict[str, Any]:
    """Return a user's message."""
    return {"role": "user", "content": content}
