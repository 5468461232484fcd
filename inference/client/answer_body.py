"""Reads the body of an answer: how long each piece is waited for, and by which thread.

Nobody needs the words of most answers one by one: the caller's thread then sleeps until all are there, and one thread of the process reads for all
(wire/listener.py).
"""

from __future__ import annotations

import time

from inference.client.patience import Patience
from inference.client.reader import Progress
from inference.client.transport import is_plain, listen, pieces_of
from inference.errors import GarbageAnswer
from inference.types import Timeouts
from wire.deadline import Deadline
from wire.listener import Take
from wire.response import Response

#: How a stream of events begins.
_STREAM = (b"data:", b"event:", b"id:", b"retry:", b":")


class AnswerBody:
    """The body of one answer."""

    def __init__(
        self, progress: Progress, deadline: Deadline, *, timeouts: Timeouts, patience: Patience, cap: int, first: float, end: float
    ) -> None:
        """Note the limits. first and end: by when its first word must be there, and all of it; cap: its most bytes."""
        self._progress, self._deadline = progress, deadline
        self._silence_s, self._patience = timeouts.silence_s, patience
        self._first, self._end = first, end
        self._left = cap
        #: What was received of it and is not taken yet.
        self._unread: list[bytes] = []
        self._has_begun = False
        #: In how many pieces it came so far.
        self.pieces = 0

    def hear(self, response: Response) -> Take | None:
        """Say what takes a body in the listener's thread, from its first piece on; None: its caller reads it. `read` goes on with what is left."""
        return self._begin if 200 <= response.status_code < 300 and is_plain(response) and not _is_json(response) else None

    def read(self, response: Response, *, is_watched: bool) -> None:
        """Read it to its end. is_watched: somebody is shown it while it grows. Raises what its events mean, GarbageAnswer, or one of WIRE_ERRORS."""
        progress = self._progress
        if _is_json(response):
            # A server that cannot stream sends the whole answer at once: its first word comes with its last.
            self._deadline.at = self._end
        may_listen = not is_watched and is_plain(response)
        for piece in pieces_of(response, self._unread):
            if self._take(piece) and may_listen and progress.streams:
                listen(response, self._take)
            if self._left < 0:
                # Whole already, and far too much behind it.
                return
        progress.end()
        self._patience.was_rewarded()

    def _begin(self, piece: bytes) -> bool:
        """Take a piece in the listener's thread; the first one only where it begins like a stream, which needs no unpacking."""
        if not self._has_begun and not piece.startswith(_STREAM):
            self._unread.append(piece)
            return False
        self._has_begun = True
        return self._take(piece)

    def _take(self, piece: bytes) -> bool:
        """Take a piece, and say by when the next must come; return whether any thread may wait for it, since the answer is not whole yet."""
        progress, deadline = self._progress, self._deadline
        self._left -= len(piece)
        self.pieces += 1
        if self._left < 0:
            if not progress.ended:
                raise GarbageAnswer("the response is larger than allowed")
            return False
        is_event = progress.feed(piece)
        if progress.ended:
            deadline.at = min(deadline.at, time.monotonic() + self._patience.wait_s(is_counted=progress.needs_nothing))
            return False
        if is_event and progress.first_at is not None:
            deadline.at = min(time.monotonic() + self._silence_s, self._end)
        elif progress.streams and progress.first_at is None:
            deadline.at = self._first
        return True


def _is_json(response: Response) -> bool:
    return "json" in response.headers.get("content-type", "").lower()
