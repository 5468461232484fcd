"""Stores groups of webhooks one after the other, over a connection of its own. The event loop waits for Postgres itself: a thread would cost as much as the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from bots.errors import StorageUnavailable
from bots.settings import Settings
from bots.storage import arrivals
from bots.storage.arrivals import Arrival
from bots.storage.line import Line, Refused
from bots.web.thread_pool import ThreadPool

#: After so many webhooks, and then after twice as many each time, plans are made anew: those for nearly empty tables read too much of full ones.
_FIRST_PLANS = 32
#: Bodies of more together are written down in a thread: that would keep the others waiting.
_AT_ONCE_BYTES = 64 * 1024


class Lane:
    """One of the lanes of a process."""

    def __init__(self, line: Line, settings: Settings) -> None:
        self._line, self._settings = line, settings
        #: For connecting, and for groups that take long to write down.
        self._thread = ThreadPool(1)
        self._stored, self._plan_at = 0, _FIRST_PLANS

    async def store(self, webhooks: Sequence[Arrival]) -> set[int]:
        """Store plain webhooks in one transaction, and return the places of those that each need one of their own.

        If the transaction fails, or the connection breaks, they are all of them: nobody needs to know whether it was committed, since a second
        time changes nothing. Raises StorageUnavailable where there is no connection.
        """
        if not self._line.is_open:
            await self._thread.run(self._line.open)
        settings = self._settings
        encode = partial(arrivals.values, webhooks, debounce_s=settings.debounce_s, debounce_cap_s=settings.debounce_cap_s)
        is_long = sum(len(webhook.body) for webhook in webhooks) > _AT_ONCE_BYTES
        values = await self._thread.run(encode) if is_long else encode()
        try:
            await self._ask(arrivals.STATEMENT, values)
            found = arrivals.left_out(self._line.answer())
        except (Refused, StorageUnavailable):
            return set(range(len(webhooks)))
        self._stored += len(webhooks)
        return found

    @property
    def is_to_be_planned(self) -> bool:
        """Whether its plans are to be made anew before it stores anything else."""
        return self._stored >= self._plan_at

    async def plan(self) -> None:
        """Have its plans made anew."""
        self._plan_at *= 2
        await self._ask(arrivals.PLAN_ANEW, ())

    def close(self) -> None:
        """Give the connection up."""
        self._line.close()

    async def _ask(self, statement: str, values: Sequence[bytes]) -> None:
        """Send a statement, and wait until its answer has come. Raises StorageUnavailable."""
        loop, line = asyncio.get_running_loop(), self._line
        answered: asyncio.Future[None] = loop.create_future()
        is_sent = line.send(statement, values, binary=arrivals.BINARY)
        file = line.fileno()

        def end(error: StorageUnavailable | None = None) -> None:
            loop.remove_reader(file)
            loop.remove_writer(file)
            if not answered.done():
                answered.set_result(None) if error is None else answered.set_exception(error)

        def read() -> None:
            try:
                if line.read():
                    end()
            except StorageUnavailable as error:
                end(error)

        def write() -> None:
            try:
                if line.flush():
                    loop.remove_writer(file)
            except StorageUnavailable as error:
                end(error)

        loop.add_reader(file, read)
        if not is_sent:
            loop.add_writer(file, write)
        await answered
