"""The scripted model's data-parallel ranks: each runs a number of requests at once, queues the others, and has its own prefix cache."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Sequence

from inference.scripted.played import Played
from inference.scripted.prefix_cache import Blocks, WholeMessages


class Rank:
    """One rank."""

    def __init__(self, played: Played) -> None:
        self._slots = played.slots
        self._by_priority = played.policy == "priority"
        self._queue: list[tuple[int, int, asyncio.Future[None]]] = []
        self._arrivals = 0
        is_off = played.prefix_cache == "off"
        self.cache = Blocks(0 if is_off else played.cache_blocks) if is_off or played.cache_blocks else WholeMessages()
        self.running = self.waiting = 0
        #: Tokens that were looked up and found in the prefix cache, as vLLM counts them.
        self.queried = self.hit = 0

    @property
    def in_flight(self) -> int:
        """Requests that run or wait."""
        return self.running + self.waiting

    async def enter(self, priority: int) -> None:
        """Wait for a slot and take it; `leave` gives it back."""
        if not self._slots or self.running < self._slots:
            self.running += 1
            return
        self._arrivals += 1
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._queue, (priority if self._by_priority else 0, self._arrivals, turn))
        self.waiting += 1
        try:
            await turn
        except asyncio.CancelledError:
            # The client went away while it was queued, or just as it got a slot.
            if turn.done() and not turn.cancelled():
                self.leave()
            else:
                self.waiting -= 1
            raise

    def leave(self) -> None:
        """Give the slot to the next request, or free it."""
        while self._queue:
            turn = heapq.heappop(self._queue)[2]
            if not turn.done():
                turn.set_result(None)
                self.waiting -= 1
                return
        self.running -= 1


def pick(ranks: Sequence[Rank], wanted: str) -> Rank | None:
    """Return the rank that the request's header names, or None if there is no such rank; without a header the least busy one, as vLLM does."""
    if wanted.isdigit():
        return ranks[int(wanted)] if int(wanted) < len(ranks) else None
    return min(ranks, key=lambda rank: rank.in_flight)
