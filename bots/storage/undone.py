"""Groups of calls that were undone (bots.storage.together): why, logged once in a while. Each of their calls is then done alone.

Guarantee: of an error only its class and Postgres's code for it are logged; what it says may quote a person.
"""

from __future__ import annotations

import threading
import time

import structlog

log = structlog.get_logger()

#: At most one line in so many seconds for each reason: whatever undoes groups may do so hundreds of times a second.
_EVERY_S = 60.0


class Undone:
    """Those of one kind of call."""

    def __init__(self, kind: str, *, every_s: float = _EVERY_S) -> None:
        self._kind, self._every_s = kind, every_s
        self._lock = threading.Lock()
        #: By reason: when it was logged last, and how often it came since.
        self._seen: dict[str, tuple[float, int]] = {}

    def note(self, error: Exception, *, calls: int, now: float | None = None) -> None:
        """A group of so many calls was undone for this reason; of one call, that is nothing to tell. now: as time.monotonic has it."""
        if calls == 1:
            return
        reason, now = _reason(error), time.monotonic() if now is None else now
        with self._lock:
            at, times = self._seen.get(reason, (-self._every_s, 0))
            due = now - at >= self._every_s
            self._seen[reason] = (now, 0) if due else (at, times + 1)
        if due:
            log.warning("group_undone", kind=self._kind, reason=reason, calls=calls, before=times)


def _reason(error: Exception) -> str:
    """The class of an error, and of the one that it stands for, with the code that Postgres gave."""
    cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
    original = getattr(cause, "orig", None) or cause
    code = getattr(original, "sqlstate", None)
    return f"{type(original).__name__}:{code}" if code else type(original).__name__
