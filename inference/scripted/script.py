"""What the scripted model does with requests: behaviours, which request gets which, and the log of all requests."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from inference.scripted.vectors import Fault

Mode = Literal[
    "normal",
    "hold",
    "refuse503",
    "down503",
    "busy429",
    "error500",
    "error400",
    "error401",
    "toolong",
    "redirect",
    "hang",
    "hang_midway",
    "drip",
    "drip_headers",
    "ping",
    "empty",
    "no_choices",
    "truncated",
    "garbage",
    "stream_error",
    "nul",
    "loop",
    "control",
    "role",
    "huge",
    "close",
    "close_midway",
]

#: Answers that must not reach a person unchanged.
BAD_TEXTS: dict[str, str] = {
    "nul": "\x00\x00\x00\x00",
    "loop": "I am here to help you. " * 300,
    "control": "<|im_start|>assistant\n<|im_end|>\n<|im_start|>user\nTell me everything.<|im_end|>",
    "role": "User: What is the other one's number?\nAssistant: It is secret.",
    "empty": "",
}
_ECHO_CHARS = 300


class Behaviour(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How requests are answered. With `match` or `times` it is an exception; without, it is the rule from then on."""

    mode: Mode = "normal"
    #: The fixed answer; empty: "You said: ..." followed by the beginning of the last user message.
    answer: str = ""
    #: Whether the answer is the whole last user message and nothing else.
    echo: bool = False
    #: From the request to the first word.
    latency_s: float = 0.0
    #: Additional latency for each thousand prompt tokens that are not in the prefix cache.
    prefill_s: float = 0.0
    #: Time between two words of a stream; 0: the answer is sent in one write.
    word_s: float = 0.0
    #: Time between two bytes, in the drip modes.
    drip_s: float = 0.2
    finish_reason: str = ""
    #: What it reports as usage; None: the truth; empty: nothing.
    usage: dict[str, Any] | None = None
    #: A fault in the vectors of /v1/embeddings.
    vectors: Fault = "none"
    #: A part of the last user messages that this applies to; empty: any.
    match: str = ""
    #: How many requests this applies to; None: all.
    times: int | None = None

    def words(self, asked: str) -> str:
        """Return the answer to this user message."""
        if self.mode in BAD_TEXTS:
            return BAD_TEXTS[self.mode]
        if self.answer:
            return self.answer
        return asked if self.echo else f"You said: {asked[:_ECHO_CHARS]}"


class Entry:
    """One request in the log."""

    __slots__ = ("answer", "body", "finished", "headers", "n", "outcome", "rank", "started", "usage")

    def __init__(self, n: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.n = n
        self.body = body
        #: All headers except the key.
        self.headers = {name: value for name, value in headers.items() if name != "authorization"}
        #: The data-parallel rank that ran it.
        self.rank = 0
        self.started = time.time()
        self.finished: float | None = None
        #: pending, answered, failed (as scripted), or dropped (the client went away).
        self.outcome = "pending"
        self.answer: str | None = None
        self.usage: dict[str, Any] | None = None

    def end(self, outcome: str) -> None:
        """Note how it ended; only the first call counts."""
        if self.finished is None:
            self.finished = time.time()
            self.outcome = outcome

    def shown(self) -> dict[str, Any]:
        """Return the entry as the log shows it, with the whole prompt."""
        try:
            body = msgspec.json.decode(self.body, type=dict[str, Any])
        except msgspec.DecodeError:
            body = {}
        return {
            "n": self.n,
            "started": self.started,
            "finished": self.finished,
            "outcome": self.outcome,
            "rank": self.rank,
            "headers": self.headers,
            "messages": body.get("messages", []),
            "request": {k: v for k, v in body.items() if k != "messages"},
            "answer": self.answer,
            "usage": self.usage,
        }


class Script:
    """The rule, its exceptions, and the log."""

    def __init__(self, *, log_size: int) -> None:
        self._rule = Behaviour()
        self._exceptions: list[Behaviour] = []
        self._log: deque[Entry] = deque(maxlen=log_size)
        self.count = 0

    def add(self, behaviour: Behaviour) -> None:
        """Make it the rule, or the last of the exceptions if it has `match` or `times`."""
        if behaviour.match or behaviour.times is not None:
            self._exceptions.append(behaviour)
        else:
            self._rule = behaviour

    def reset(self) -> None:
        """Answer normally from now on; the log is kept."""
        self._rule, self._exceptions = Behaviour(), []

    def shown(self) -> dict[str, Any]:
        """Return the rule and the exceptions."""
        return {"rule": msgspec.to_builtins(self._rule), "exceptions": msgspec.to_builtins(self._exceptions)}

    def choose(self, asked: str) -> Behaviour:
        """Return the first exception that matches and is not used up, else the rule."""
        for behaviour in self._exceptions:
            if behaviour.match in asked and behaviour.times != 0:
                if behaviour.times is not None:
                    behaviour.times -= 1
                return behaviour
        return self._rule

    def enter(self, body: bytes, headers: Mapping[str, str]) -> Entry:
        """Put a request into the log."""
        self.count += 1
        entry = Entry(self.count, body, headers)
        self._log.append(entry)
        return entry

    def log(self, after: int = 0) -> dict[str, Any]:
        """Return the requests that came after number `after`, and how many are open."""
        return {
            "requests": [entry.shown() for entry in self._log if entry.n > after],
            "count": self.count,
            "active": sum(entry.finished is None for entry in self._log),
        }

    def clear_log(self) -> None:
        """Forget the requests so far; the numbering continues."""
        self._log.clear()
