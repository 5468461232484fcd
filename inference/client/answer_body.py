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
from wire.response import Response


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

    def read(self, response: Response, *, is_watched: bool) -> None:
        """Read it to its end. is_watched: somebody is shown it while it grows. Raises what its events mean, GarbageAnswer, or one of WIRE_ERRORS."""
        progress = self._progress
        if "json" in response.headers.get("content-type", "").lower():
            # A server that cannot stream sends the whole answer at once: its first word comes with its last.
            self._deadline.at = self._end
        may_listen = not is_watched and is_plain(response)
        for piece in pieces_of(response):
            if self._take(piece) and may_listen and progress.streams:
                listen(response, self._take)
            if self._left < 0:
                # Whole already, and far too much behind it.
                return
        progress.end()
        self._patience.was_rewarded()

    def _take(self, piece: bytes) -> bool:
        """Take a piece, and say by when the next must come; return whether any thread may wait for it, since the answer is not whole yet."""
        progress, deadline = self._progress, self._deadline
        self._left -= len(piece)
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
