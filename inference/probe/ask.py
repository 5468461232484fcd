"""Sends a probe's requests to a model server: plain ones, each with its own deadline.

Guarantee: an answer that `chat` returns is the server's own. Silence, a full server, an empty account, and a gateway in front of a dead server
raise Unanswered.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from inference.client.body import answer_fields
from inference.client.told import told
from inference.client.transport import WIRE_ERRORS, Wire, key_header, read_at_most
from inference.client.unaccepted import unaccepted
from inference.probe.replies import Reply, Said, said
from inference.types import Endpoint, Timeouts, Traits

#: The largest page that is read. Lists of models with descriptions are the longest: 3,000 rows of 2 kB have 6 MB.
_LARGEST_PAGE = 16 * 1024 * 1024
_PAGE_S = 10.0
#: A server that did not answer twice in a row is not asked again.
_LOST = 2
#: How often to wait for a server that is full or limits its rate, and how long where it does not say; doubled each time.
_WAITS = 4
_WAIT_S = 1.0
#: Enough for a question whose tokens are only counted: some servers refuse less, and hardly any answer is longer.
_COUNTING = 16
#: For servers that say that this is too little: their model thinks first.
_PLENTY = 1024
_TOO_FEW = re.compile(
    r"(?=.*(?:max_?(?:completion_?|output_?|new_?)?tokens|output limit|budget))(?=.*(?:at least|minimum|higher|greater|increase|>=|≥|too (?:small|low|few)|could not finish))",
    re.IGNORECASE | re.DOTALL,
)
#: As real calls are made: a server may take 0.3 and refuse 0.
_TEMPERATURE, _TOP_P = 0.3, 0.9


class Unanswered(Exception):
    """A request has no answer that says what the server can do."""


class Asker:
    """One thread's requests to one endpoint. All of them end by `until` (monotonic)."""

    def __init__(self, endpoint: Endpoint, timeouts: Timeouts, *, until: float) -> None:
        self._endpoint, self._timeouts, self._until = endpoint, timeouts, until
        self._wire = Wire(endpoint.url, key_header(endpoint))
        self._outside_v1 = Wire(endpoint.url.rstrip("/").removesuffix("/v1"), key_header(endpoint))
        self._silent = 0
        #: Fewer tokens of an answer it refuses.
        self.least = 0
        #: What refusals of a field taught. Nothing about roles: the probe asks about those itself.
        self.traits = Traits(system_role=False, roles_alternate=True)
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
        self, messages: Sequence[Mapping[str, Any]], *, max_tokens: int = _COUNTING, headers: Mapping[str, str] | None = None, **fields: Any
    ) -> Reply:
        """Return the response to a chat completion with these further fields, whatever it is.

        A full server is asked again, and so is one that refuses a field which a real call can leave out.
        """
        waited = 0
        while not self.is_lost:
            limits = answer_fields(self.traits, max_tokens=max(max_tokens, self.least), temperature=_TEMPERATURE, top_p=_TOP_P)
            body = msgspec.json.encode({"model": self._endpoint.model, "messages": messages, **limits, **fields})
            reply = self._post(body, headers, min(time.monotonic() + self._timeouts.total_s, self._until))
            self._silent = 0 if reply.status else self._silent + 1
            if reply.is_full and self.wait(waited, reply.retry_after_s):
                waited += 1
            elif not (reply.is_refusal and self._learns(reply)):
                return reply
        return Reply()

    def _learns(self, reply: Reply) -> bool:
        """Learn from a refusal what to leave out; return whether that changes the next question."""
        traits = unaccepted(reply.status, reply.body, self.traits)
        if traits is not None:
            self.traits = traits
        elif self.least < _PLENTY and _TOO_FEW.match(told(reply.body).words):
            self.least = _PLENTY
        else:
            return False
        return True

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
        """Return how many tokens a prompt of this one user message has; None where the server does not count. Raises Unanswered.

        An answer of nothing is good enough.
        """
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
