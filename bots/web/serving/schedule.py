"""The event loop, shared among strangers: in each pass one of them gets on by one step. The others wait, and who has had least goes first.

A step is to open a connection from which something has come, to read on in a request that is not whole yet, or to begin one that is. So a pass stays short
however many strangers there are, and whoever sends one request in one piece, as platforms do, waits only for others who do the same. A connection whose peer has
shown who it is waits for nobody.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from bots.web.serving.connections import Slot

#: By this word in the `state` of a request's scope an endpoint says that its peer has shown who it is.
KNOWN = "peer_is_known"
#: Those with 0 steps so far, 1, 2 to 3, 4 to 7, and more.
_LEVELS = 5
#: In one of so many passes it is those with most steps who come first: nobody waits for ever.
_LAST_FIRST = 8

#: What somebody does in its pass. False: there was nothing to do any more, and the next one may have the pass.
Step = Callable[[], bool]
#: In search of one for whom there is something to do, in one pass.
_MOST_GONE = 64

#: By source, what waits; the source that was served longest ago comes first.
_Level = dict[str, deque[tuple[Slot, Step]]]


class Schedule:
    """Says whose step is next, for one event loop."""

    def __init__(self, soon: Callable[[Callable[[], None]], object]) -> None:
        """`soon` calls in the next pass, like `call_soon` of an event loop."""
        self._soon = soon
        self._levels: list[_Level] = [{} for _ in range(_LEVELS)]
        self._is_taken = False
        self._passes = 0

    def is_now(self, slot: Slot) -> bool:
        """Whether a connection may take a step at once; then this pass is its."""
        if slot.is_known:
            return True
        if self._is_taken:
            return False
        self._take(slot)
        return True

    def wait(self, slot: Slot, step: Step) -> None:
        """Take the step in a later pass."""
        slot.is_queued = True
        level = self._levels[min(slot.steps.bit_length(), _LEVELS - 1)]
        level.setdefault(slot.source, deque()).append((slot, step))

    def step(self, slot: Slot, step: Step) -> None:
        """Take a step, at once or later."""
        if self.is_now(slot):
            step()
        else:
            self.wait(slot, step)

    def _take(self, slot: Slot) -> None:
        slot.steps += 1
        self._is_taken = True
        self._soon(self._next)

    def _next(self) -> None:
        """A pass has ended."""
        self._passes += 1
        for _ in range(_MOST_GONE):
            found = self._first()
            if found is None:
                self._is_taken = False
                return
            slot, step = found
            if step():
                self._take(slot)
                return
        self._soon(self._next)

    def _first(self) -> tuple[Slot, Step] | None:
        """Take whose step is next from those that wait."""
        levels = self._levels if self._passes % _LAST_FIRST else reversed(self._levels)
        level = next(filter(None, levels), None)
        if level is None:
            return None
        source = next(iter(level))
        waiting = level.pop(source)
        slot, step = waiting.popleft()
        if waiting:
            level[source] = waiting
        slot.is_queued = False
        return slot, step
