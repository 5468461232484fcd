"""Collects the signed webhooks of one process: those that arrive while a transaction is under way go into the next one, together.

The first waits for nobody. What cannot go together goes alone, in a thread of the pool. Of two webhooks that name the same person or message the
later one waits for the earlier one, unless they go together.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from dataclasses import dataclass
from functools import partial

import structlog

from bots.errors import StorageUnavailable
from bots.storage.arrivals import MOST_EVENTS
from bots.web.limits import Full
from bots.web.thread_pool import ThreadPool
from bots.web.webhooks.intake import Intake, Webhook

log = structlog.get_logger()

#: In one transaction: so many that they share its cost, so few that none waits long for the others.
_MOST_WEBHOOKS = 64
#: How long a webhook waits for its turn: the platform waits about 20 s for an answer, and sends again what was not taken.
_WAIT_S = 8.0
#: What may wait in memory, and what a webhook takes there besides its body.
_MOST_BYTES, _EACH_BYTES = 64 * 1024 * 1024, 4096
#: Larger bodies take seconds and have few of the threads, so that others need not wait for them.
_LARGE_BYTES = 64 * 1024
_LARGE_SHARE = 4


@dataclass(slots=True, eq=False, kw_only=True)
class _Waiting:
    """A webhook that waits to be stored."""

    webhook: Webhook
    #: Whether it is stored.
    answer: asyncio.Future[bool]
    #: Ends the wait.
    end: asyncio.TimerHandle
    #: The persons and messages that it is about.
    names: frozenset[str]


class Collector:
    """Stores webhooks for the event loop of one process."""

    def __init__(self, *, intake: Intake, threads: ThreadPool) -> None:
        self._intake, self._threads = intake, threads
        #: For what goes together: others may hold all the threads of the pool while they wait for a lock.
        self._lane = ThreadPool(1)
        self._slots, self._large_slots = asyncio.Semaphore(threads.size), asyncio.Semaphore(max(1, threads.size // _LARGE_SHARE))
        self._waiting: deque[_Waiting] = deque()
        self._bytes = 0
        #: The names of what is being stored.
        self._busy: Counter[str] = Counter()
        self._is_storing = self._is_called = False
        self._running: set[asyncio.Task[None]] = set()

    async def store(self, webhook: Webhook) -> bool:
        """Store one webhook; False if that is not possible now. Raises Full where too much is waiting already."""
        size = len(webhook.body) + _EACH_BYTES
        if self._bytes + size > _MOST_BYTES:
            raise Full
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bool] = loop.create_future()
        one = _Waiting(webhook=webhook, answer=answer, end=loop.call_later(_WAIT_S, _not_stored, answer), names=_names(webhook))
        self._waiting.append(one)
        self._bytes += size
        if not self._is_called and not (self._is_storing and webhook.is_plain):
            # After all that has arrived at this moment.
            self._is_called = True
            loop.call_soon(self._start)
        try:
            return await answer
        finally:
            one.end.cancel()
            self._bytes -= size

    def _start(self) -> None:
        """Start to store what need not wait any longer."""
        self._is_called = False
        group: list[_Waiting] = []
        keys: set[str] = set()
        beside: set[str] = set()
        later: deque[_Waiting] = deque()
        before: set[str] = set()
        for one in self._waiting:
            if one.answer.done():
                continue
            own = {event.event_key for event in one.webhook.events}
            if not (before.isdisjoint(one.names) and self._busy.keys().isdisjoint(one.names)):
                waits = True
            elif one.webhook.is_plain:
                waits = self._is_storing or len(group) == _MOST_WEBHOOKS or len(keys) + len(own) > MOST_EVENTS or not keys.isdisjoint(own)
            else:
                waits = not beside.isdisjoint(one.names)
            if waits:
                later.append(one)
                before |= one.names
            elif one.webhook.is_plain:
                group.append(one)
                keys |= own
                beside |= one.names
            else:
                self._busy.update(one.names)
                self._run_alone(one)
        self._waiting = later
        if group:
            self._is_storing = True
            for one in group:
                self._busy.update(one.names)
            self._keep(asyncio.get_running_loop().create_task(self._store_together(group)))

    async def _store_together(self, group: list[_Waiting]) -> None:
        alone = set(range(len(group)))
        try:
            alone = await self._lane.run(partial(self._intake.store_together, [one.webhook for one in group]))
        except StorageUnavailable:
            log.warning("webhooks_storage_unavailable", count=len(group))
            alone.clear()
            for one in group:
                _not_stored(one.answer)
        finally:
            self._is_storing = False
            for place, one in enumerate(group):
                if place in alone:
                    self._run_alone(one)
                else:
                    _stored(one.answer)
                    self._busy.subtract(one.names)
            self._busy = +self._busy
            self._start()

    def _run_alone(self, one: _Waiting) -> None:
        """Store a webhook, whose names are busy already, by itself."""

        def ended(task: asyncio.Task[None]) -> None:
            if task.cancelled():
                return
            self._busy.subtract(one.names)
            self._busy = +self._busy
            error = task.exception()
            if error is None:
                _stored(one.answer)
            elif isinstance(error, StorageUnavailable):
                _not_stored(one.answer)
            elif not one.answer.done():
                one.answer.set_exception(error)
            if not self._is_storing:
                self._start()

        task = asyncio.get_running_loop().create_task(self._store_alone(one))
        self._keep(task)
        task.add_done_callback(ended)

    async def _store_alone(self, one: _Waiting) -> None:
        async with self._large_slots if len(one.webhook.body) > _LARGE_BYTES else self._slots:
            if one.answer.done():
                return
            # It is bounded by its own times from here on.
            one.end.cancel()
            await self._threads.run(partial(self._intake.store_alone, one.webhook))

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._running.add(task)
        task.add_done_callback(self._running.discard)


def _names(webhook: Webhook) -> frozenset[str]:
    found: set[str] = set()
    for event in webhook.events:
        if event.status is None:
            found.update(identity.value for identity in event.identities)
        else:
            found.add(event.status.external_id)
    return frozenset(found)


def _stored(answer: asyncio.Future[bool]) -> None:
    if not answer.done():
        answer.set_result(True)


def _not_stored(answer: asyncio.Future[bool]) -> None:
    if not answer.done():
        answer.set_result(False)
