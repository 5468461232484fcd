"""When a call has to be over: a read timeout alone is defeated by a peer that drips bytes."""

from __future__ import annotations

import time


class Deadline:
    """The moment until which the thread's present call may last, and the longest time to connect."""

    __slots__ = ("at", "connect_s", "connected")

    def __init__(self) -> None:
        self.at = 0.0
        self.connect_s = 0.0
        #: Whether the present call opened a connection of its own.
        self.connected = False

    def start(self, *, until: float, connect_s: float) -> None:
        """Begin a call that ends at `until` (monotonic), and tries each address for at most `connect_s`."""
        self.at, self.connect_s, self.connected = until, connect_s, False

    def left(self, late: type[Exception]) -> float:
        """Return the seconds that are left. Raises the given exception when there are none."""
        left = self.at - time.monotonic()
        if left <= 0:
            raise late("the deadline has passed")
        return left
