"""Reads an answer while it comes: bytes in, text, token counts and their end out. No sockets; the clock only notes times.

The grammar, on top of the JSON texts that inference.client.frames cuts out:

* An **event** is a JSON object, also one in a list. It is read field by field: choices, text, finish reason, counts. A field of the wrong kind is as if it
  were missing, and an object, word or number that is not understood is passed over.
* A **sign of life** is text, or any field of a delta that is not empty and not merely structure: thoughts under any name, calls of tools. A role, empty
  text, counts, comments and pings are none.
* An **end** is `[DONE]` in any spelling, a finish reason, or an event that says so (`message_stop`, `done: true`). A single object that is a whole message is whole
  without one. Text that comes after a finish reason takes that end back, since some servers send "stop" with each piece. After an end nothing is an error,
  and of further reasons only a filter or a limit counts. Where a piece of the answer cannot be read before its end, the answer is "cut".
* An **error** is an event with a non-empty `error`, of the object or type "error", in a block of that name, or with a message and a code or status that is not good
  ("queued" is good), or Gemini's word that it blocked the prompt. It
  means what the same words mean in a refusal. A stream that stops before an end is an error too.

The ordinary event is decoded into typed fields; every other one is read as it comes.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

from inference.client import ordinary
from inference.client.chunk import Saying, choices_in, error_in, is_completion, is_done, thinks, unwrapped
from inference.client.counts import Counts
from inference.client.finish import End, end_of
from inference.client.frames import Frames, Reading
from inference.client.refusal import broken_off, event_error
from inference.client.shapes import fields, items, value_of
from inference.client.shown import Asked
from inference.errors import ContentFiltered, ModelUnavailable
from inference.types import Answer, Usage

_DONE_NAMES = frozenset(
    {
        "done",
        "end",
        "eos",
        "eof",
        "close",
        "complete",
        "completed",
        "finish",
        "finished",
        "message_stop",
        "message-end",
        "stream-end",
        "[done]",
    }
)


#: "[DONE]" in all its spellings.
_END_WORD = re.compile(rb"[\s\"'\[<(|]*(?:done|end|eos|eof|complete|completed|finish|finished)[\s\"'\]>)|.!]*", re.IGNORECASE)
_LONGEST_END = 24


class Progress(Frames):
    """An answer that is being received. `feed` takes bytes as they come, `end` says that no more come, `answer` returns the whole."""

    def __init__(self, on_text: Callable[[str], None] | None = None, asked: Asked = Asked()) -> None:  # noqa: B008 - frozen
        """`asked` is what must not be in an error's words."""
        super().__init__()
        self._on_text = on_text
        self._asked = asked
        self._pieces: list[str] = []
        self._thoughts: list[str] = []
        self._grown = self._alive = False
        self._has_halves = False
        self._counts = Counts()
        self._reason = ""
        #: Whether text came after a finish reason, so that this server's reasons are no end.
        self._early = False
        #: Which of several choices is read: the first that comes.
        self._index: int | None = None
        self._events = 0
        #: Whether text came in parts, and whether a whole message came.
        self._in_parts = self._is_whole = False
        self._done = False
        #: Whether a piece of the answer could not be read, so that what there is of it is not whole.
        self._has_gap = False
        #: When the first sign of life came, by the monotonic clock.
        self.first_at: float | None = None

    @property
    def text(self) -> str:
        """The text so far."""
        text = "".join(self._pieces)
        # Some servers cut a character's two halves (a surrogate pair) apart.
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if self._has_halves else text

    @property
    def thoughts(self) -> str:
        """The thoughts so far that stand apart from the text."""
        return "".join(self._thoughts)

    @property
    def usage(self) -> Usage | None:
        """What the server counted so far; None where it did not."""
        return self._counts.usage if self._counts.are_begun else None

    @property
    def ended(self) -> bool:
        """Whether the answer is whole, whatever comes now."""
        return self._done or (bool(self._reason) and not self._early)

    @property
    def needs_nothing(self) -> bool:
        """Whether nothing is missing that may still come: the answer has ended, and its tokens are counted or will not be."""
        return self._done or (self.ended and self._counts.are_there)

    def feed(self, piece: bytes) -> bool:
        """Take bytes; return whether they held an event of the answer. Raises what an error event means."""
        self._grown = self._alive = False
        self.split(piece)
        if self._grown and self._on_text is not None:
            self._on_text(self.text)
        return self._alive

    def end(self, *, is_clean: bool = True) -> None:
        """Note that no more bytes come: the server ended the response (is_clean), or the connection broke.

        Raises ModelUnavailable (or what the last words mean) when the answer is not whole.
        """
        self._grown = False
        self.split_rest()
        if self._grown and self._on_text is not None:
            self._on_text(self.text)
        # A bare [DONE] is no answer.
        said_nothing = self.first_at is None and not self._reason and not self._counts.are_begun
        if (self.ended and not said_nothing) or (self._reason and is_clean) or (self._is_whole and self._events == 1):
            return
        raise broken_off(self.passed_over, self._asked, has_begun=self.first_at is not None)

    def answer(self, *, started: float, ended: float) -> Answer:
        """Return the whole answer. Raises ContentFiltered or ModelUnavailable where its finish reason says that it is none."""
        meaning: End = end_of(self._reason) if self._reason else "stop"
        if meaning == "filter":
            raise ContentFiltered("the server ended the answer because of its content")
        if meaning == "failed":
            raise ModelUnavailable("the model server gave the answer up")
        first = ended if self.first_at is None else self.first_at
        return Answer(
            text=self.text,
            usage=self._counts.usage,
            first_token_ms=(first - started) * 1000,
            total_ms=(ended - started) * 1000,
            finish_reason="cut" if self._has_gap else meaning,
            thoughts=self.thoughts,
        )

    def take_ordinary(self, data: bytes) -> bool:
        """Take a piece of text or of thoughts; return whether it is no more than one."""
        if self._index is None:
            return self._take_first(data)
        try:
            choice = ordinary.piece(data).choices[0]
        except (ValueError, RecursionError):
            return self._take_last(data)
        if choice.index != self._index or self._reason or self._done:
            return False
        delta = choice.delta
        if delta.content:
            self._pieces.append(delta.content)
            self._grown = self._in_parts = True
        elif thought := delta.reasoning_content or delta.reasoning:
            self._thoughts.append(thought)
        else:
            return False
        self._alive = True
        if self.first_at is None:
            self.first_at = time.monotonic()
        return True

    def _take_first(self, data: bytes) -> bool:
        """The same where nothing came before."""
        try:
            choice = ordinary.first(data).choices[0]
        except (ValueError, RecursionError):
            return False
        if not choice.delta.content or self._done:
            return False
        self._index, self.streams = choice.index, True
        self._pieces.append(choice.delta.content)
        self._grown = self._in_parts = True
        self._events += 1
        self._lives()
        return True

    def _take_last(self, data: bytes) -> bool:
        """Take the finish reason, where it comes by itself, or the counts behind it."""
        if self._reason and not self._done:
            return self._take_counts(data)
        if self._reason or self._done or self._early or b'"finish_reason":null' in data:
            return False
        try:
            choice = ordinary.last(data).choices[0]
        except (ValueError, RecursionError):
            return False
        if choice.index != self._index:
            return False
        self._reason = choice.finish_reason
        self._events += 1
        self._alive, self._is_whole = True, False
        return True

    def _take_counts(self, data: bytes) -> bool:
        try:
            usage = ordinary.counted(data).usage
        except (ValueError, RecursionError):
            return False
        details = usage.prompt_tokens_details
        self._counts.read_plain(
            prompt=usage.prompt_tokens,
            answer=usage.completion_tokens,
            total=usage.total_tokens,
            cached=None if details is None else details.cached_tokens,
        )
        self._events += 1
        self._alive, self._is_whole = True, False
        return True

    def lost(self) -> None:
        """Note that a piece of the answer could not be read. Behind the end it would add nothing."""
        self._has_gap |= not self.ended

    def take(self, data: bytes, name: str) -> Reading:
        """Take one text of the response that is no ordinary one, in a block of that name."""
        if self._done:
            return "read"
        if "error" in name or "exception" in name:
            self._fail(_loosely(data))
            return "read"
        taken = self._take_json(data)
        if name in _DONE_NAMES:
            self._done = True
            return "read"
        return taken

    def _take_json(self, data: bytes) -> Reading:
        if len(data) < _LONGEST_END and _END_WORD.fullmatch(data):
            self._done = True
            return "read"
        if data.startswith(b'"{'):
            # A gateway that wrapped the JSON into a string.
            data = _unquoted(data)
        if not data.startswith((b"{", b"[")):
            return "other"
        try:
            value = value_of(data)
        except ValueError:
            return "begun"
        known = [self._take_object(one) for one in map(fields, items(value)) if one]
        return "read" if any(known) else "other"

    def _take_object(self, event: dict[str, Any]) -> bool:
        """Take one object; return whether anything of it was understood."""
        error = error_in(event)
        if error is not None:
            self._fail(error)
            return True
        self._events += 1
        completion = unwrapped(event)
        self._counts.read(event)
        if completion is not event:
            self._counts.read(completion)
        found = list(choices_in(completion))
        for said in found:
            self._choice(said)
        if is_completion(completion):
            self._is_whole = all(said.is_message for said in found) and (bool(found) or (self._counts.are_begun and not self.streams))
        if thinks(completion):
            self._lives()
        self._done |= is_done(completion)
        known = bool(found) or is_completion(completion) or self._done
        self._alive |= known
        return known or self._counts.are_begun

    def _choice(self, said: Saying) -> None:
        if self._index is None:
            self._index = said.index or 0
        if said.index is not None and said.index != self._index:
            return
        for place in said.places:
            self._counts.read(place)
        # A whole message behind its parts repeats them.
        if said.text and not (said.is_message and self._in_parts):
            self._early |= bool(self._reason)
            self._pieces.append(said.text)
            self._has_halves |= not said.text.isascii() and any("\ud800" <= character <= "\udfff" for character in said.text)
            self._grown = True
            self._in_parts |= not said.is_message
        if said.thoughts:
            self._thoughts.append(said.thoughts)
        if said.is_alive:
            self._lives()
        # Behind an end, one that says less of the answer changes nothing: it is whole, or at its limit, already.
        if said.reason and (not self._reason or self._early or end_of(said.reason) in ("filter", "length")):
            self._reason = said.reason

    def _lives(self) -> None:
        self._alive = True
        if self.first_at is None:
            self.first_at = time.monotonic()

    def _fail(self, error: dict[str, Any]) -> None:
        """Raise what an error event means, unless the answer is whole already."""
        if not self.ended:
            raise event_error(error, self._asked, has_begun=self.first_at is not None)


def _unquoted(data: bytes) -> bytes:
    try:
        text = value_of(data)
    except ValueError:
        return data
    return text.encode("utf-8", "replace") if isinstance(text, str) else data


def _loosely(data: bytes) -> dict[str, Any]:
    """What the block of an error holds, as an object."""
    try:
        found = fields(value_of(data))
    except ValueError:
        found = {}
    return found or {"message": data.decode("utf-8", "replace")}
