"""A worker whose every connection goes through a fault proxy, so that a test can stop it at a chosen point of a turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tests.support.processes import Process
from tests.support.proxy import FaultProxy, Watch

if TYPE_CHECKING:
    from tests.support.stack import Stack


class Hand:
    """One worker behind three proxies: Postgres, model, platform."""

    def __init__(self, stack: Stack, name: str) -> None:
        self.stack, self.name = stack, name
        self.database: FaultProxy = stack.database_proxy()
        self.model: FaultProxy = stack.proxy_before(stack.model.url)
        self.platform: FaultProxy = stack.proxy_before(stack.platform.url)
        self.process: Process

    def start(self, **extra: str) -> Hand:
        """Start it, or start it again under the same name."""
        self.process = self.stack.start_worker(
            self.name,
            database=self.database,
            CHINWAG_MODEL_URL=f"http://127.0.0.1:{self.model.port}/v1",
            CHINWAG_GRAPH_URL=f"http://127.0.0.1:{self.platform.port}",
            **extra,
        )
        return self


#: The points of a turn, in its order: what to watch for on a worker's own connections.
POINTS: dict[str, Callable[[Hand], Watch]] = {
    # The claim is committed, and the worker has not read it.
    "after the claim": lambda hand: hand.database.hold_reply(b"claim_turn", has=b'"token"'),
    "during the model call": lambda hand: hand.model.hold(b"/chat/completions"),
    "before the commit": lambda hand: hand.database.hold(b"finish_turn"),
    "after the commit": lambda hand: hand.database.hold_reply(b"finish_turn"),
    # Journaled, and no byte has reached the platform.
    "before the send": lambda hand: hand.platform.hold(b"biz_opaque_callback_data"),
    "after the platform took it": lambda hand: hand.platform.hold_reply(b"biz_opaque_callback_data", end=b"}", has=b"messages"),
}


def first_to_reach(point: str, hands: Sequence[Hand], timeout_s: float = 15.0) -> tuple[Hand, Watch]:
    """Watch for a point on all of them, and return the one that reaches it; the others are watched no more."""
    watches = {hand: POINTS[point](hand) for hand in hands}
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        for hand, watch in watches.items():
            if watch.seen.is_set():
                for other in watches.values():
                    if other is not watch:
                        other.release()
                        other.seen.set()
                return hand, watch
        time.sleep(0.005)
    raise AssertionError(f"no worker came to the point {point!r} within {timeout_s} s:\n{hands[0].stack.describe()}")
