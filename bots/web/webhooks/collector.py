"""Collects the signed webhooks of one process: those that arrive while transactions are under way go into the next one, together.

Whoever finds a lane free waits for nobody. What cannot go together goes alone, in a thread of the pool. Of two webhooks that name the same person or
message the later one waits for the earlier one, unless they go together.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from bots.errors import StorageUnavailable
from bots.storage.arrivals import MOST_WEIGHT, weight
from bots.web.limits import Full
from bots.web.thread_pool import ThreadPool
from bots.web.webhooks.intake import Intake, Webhook
from bots.web.webhooks.lane import Lane

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
    #: What it costs to store it.
    weight: int


class Collector:
    """Stores webhooks for the event loop of one process."""

    def __init__(self, *, intake: Intake, lanes: Sequence[Lane], threads: ThreadPool) -> None:
        """What goes together has the lanes to itself: others may hold all threads and connections of the pool while they wait for a lock."""
        self._intake, self._threads = intake, threads
        #: Those that are free.
        self._lanes = list(lanes)
        self._slots, self._large_slots = asyncio.Semaphore(threads.size), asyncio.Semaphore(max(1, threads.size // _LARGE_SHARE))
        self._waiting: deque[_Waiting] = deque()
        self._bytes = 0
        #: The names of what is being stored.
        self._busy: Counter[str] = Counter()
        self._is_called = False
        self._running: set[asyncio.Task[None]] = set()

    async def store(self, webhook: Webhook) -> bool:
        """Store one webhook; False if that is not possible now. Raises Full where too much is waiting already."""
        size = len(webhook.body) + _EACH_BYTES
        if self._bytes + size > _MOST_BYTES:
            raise Full
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bool] = loop.create_future()
        one = _Waiting(
            webhook=webhook,
            answer=answer,
            end=loop.call_later(_WAIT_S, _not_stored, answer),
            names=_names(webhook),
            weight=weight(webhook.events, webhook.body),
        )
        self._waiting.append(one)
        self._bytes += size
        if not self._is_called and (self._lanes or not webhook.is_plain):
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
        heavy = 0
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
                waits = not self._lanes or len(group) == _MOST_WEBHOOKS or heavy + one.weight > MOST_WEIGHT or not keys.isdisjoint(own)
            else:
                waits = not beside.isdisjoint(one.names)
            if waits:
                later.append(one)
                before |= one.names
            elif one.webhook.is_plain:
                group.append(one)
                heavy += one.weight
                keys |= own
                beside |= one.names
            else:
                self._busy.update(one.names)
                self._run_alone(one)
        self._waiting = later
        if group:
            for one in group:
                self._busy.update(one.names)
            self._run(self._store_together(group, self._lanes.pop()))
            if self._lanes and later:
                # Of more than one transaction holds.
                self._start()

    async def _store_together(self, group: list[_Waiting], lane: Lane) -> None:
        alone = set(range(len(group)))
        try:
            alone = await lane.store([one.webhook for one in group])
        except StorageUnavailable:
            log.warning("webhooks_storage_unavailable", count=len(group))
            alone.clear()
            for one in group:
                _not_stored(one.answer)
        else:
            for account in self._intake.stored(one.webhook for place, one in enumerate(group) if place not in alone):
                self._run(self._threads.run(partial(self._intake.note, account)))
        finally:
            for place, one in enumerate(group):
                if place in alone:
                    self._run_alone(one)
                else:
                    _stored(one.answer)
                    self._busy.subtract(one.names)
            self._busy = +self._busy
            if lane.is_to_be_planned:
                self._run(self._plan(lane))
            else:
                self._give_back(lane)

    async def _plan(self, lane: Lane) -> None:
        try:
            await lane.plan()
        except StorageUnavailable:
            log.warning("plans_not_made_anew")
        finally:
            self._give_back(lane)

    def _give_back(self, lane: Lane) -> None:
        self._lanes.append(lane)
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
            self._start()

        self._run(self._store_alone(one)).add_done_callback(ended)

    async def _store_alone(self, one: _Waiting) -> None:
        async with self._large_slots if len(one.webhook.body) > _LARGE_BYTES else self._slots:
            if one.answer.done():
                return
            # It is bounded by its own times from here on.
            one.end.cancel()
            await self._threads.run(partial(self._intake.store_alone, one.webhook))

    def _run(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task


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
