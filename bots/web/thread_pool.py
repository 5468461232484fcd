"""The one place where the asynchronous web crosses over to synchronous code: storage, crypto, parsing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

import anyio
import anyio.to_thread

T = TypeVar("T")


class ThreadPool:
    """Runs synchronous work beside the event loop, as much at once as there are database connections."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._limiter: anyio.CapacityLimiter | None = None
        self._stop = threading.Event()

    async def run(self, work: Callable[[], T]) -> T:
        """Run `work` in a thread and return its result. Waits for a free thread."""
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(self.size)
        return await anyio.to_thread.run_sync(work, limiter=self._limiter)

    def pump(self, source: Callable[[Callable[[], bool]], Iterator[T]], receive: Callable[[T], None]) -> None:
        """Hand each item of a blocking source to the event loop, from one thread of its own, until `stop`."""
        loop = asyncio.get_running_loop()

        def read() -> None:
            for item in source(self._stop.is_set):
                if self._stop.is_set() or loop.is_closed():
                    return
                loop.call_soon_threadsafe(receive, item)

        threading.Thread(target=read, name="talk-notices", daemon=True).start()

    def stop(self) -> None:
        """End the pumps."""
        self._stop.set()
