"""When a call must be over: a read timeout alone does not help against a peer that sends one byte at a time."""

from __future__ import annotations

import time


class Deadline:
    """The time by which the thread's current call must end, and the longest time to connect."""

    __slots__ = ("at", "connect_s", "connected")

    def __init__(self) -> None:
        self.at = 0.0
        self.connect_s = 0.0
        #: Whether the current call opened a new connection.
        self.connected = False

    def start(self, *, until: float, connect_s: float) -> None:
        """Begin a call that ends at `until` (monotonic) and tries each address for at most `connect_s`."""
        self.at, self.connect_s, self.connected = until, connect_s, False

    def left(self, late: type[Exception]) -> float:
        """Return the seconds that are left. Raises the given exception when there are none."""
        left = self.at - time.monotonic()
        if left <= 0:
            raise late("the deadline has passed")
        return left
