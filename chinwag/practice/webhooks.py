"""Signed webhooks with retries: each is sent until its 200, with growing waits, to the number's current address."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from bots.channels.signature import sign_meta
from chinwag.practice import payloads
from chinwag.practice.log import Log
from chinwag.practice.numbers import Number, Numbers
from chinwag.practice.post import Poster

_BATCH = 1000


@dataclass(slots=True)
class Delivery:
    """How the sending of one webhook stands."""

    http_status: int = 0
    attempts: int = 0


class Webhooks:
    """Everything on its way to the businesses' webhooks."""

    def __init__(self, numbers: Numbers, log: Log) -> None:
        self._numbers = numbers
        self._log = log
        self._poster = Poster()
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: set[asyncio.TimerHandle] = set()
        self._waiting: dict[str, list[dict[str, Any]]] = {}

    @property
    def pending(self) -> int:
        """Return how many webhooks have no 200 yet."""
        return len(self._tasks) + len(self._timers) + sum(map(len, self._waiting.values()))

    def start(self, number: Number, body: bytes, *, kind: str, ids: list[str]) -> tuple[Delivery, asyncio.Task[None]]:
        """Begin to deliver a body."""
        delivery = Delivery()
        return delivery, self._spawn(self._deliver(number, body, delivery, kind=kind, ids=ids))

    async def _deliver(self, number: Number, body: bytes, delivery: Delivery, *, kind: str, ids: list[str]) -> None:
        give_up = asyncio.get_running_loop().time() + number.give_up_s
        while True:
            current = self._numbers.get(number.phone_number_id) or number
            signature = sign_meta(body, current.app_secret)
            delivery.attempts += 1
            delivery.http_status = await self._poster.post(current.webhook_url, body, {"x-hub-signature-256": signature})
            self._log.add(
                phone_number_id=number.phone_number_id, kind=kind, ids=ids, attempt=delivery.attempts, http_status=delivery.http_status
            )
            if delivery.http_status == 200:
                return
            delays = current.retry_delays_s
            delay = delays[min(delivery.attempts, len(delays)) - 1]
            if asyncio.get_running_loop().time() + delay > give_up:
                return
            await asyncio.sleep(delay)

    def later(self, delay_s: float, number: Number, item: dict[str, Any]) -> None:
        """Send a status after some time."""
        loop = asyncio.get_running_loop()

        def due() -> None:
            self._timers.discard(handle)
            self._send_status(number, item)

        handle = loop.call_later(delay_s, due)
        self._timers.add(handle)

    def _send_status(self, number: Number, item: dict[str, Any]) -> None:
        if number.batch_ms <= 0:
            self.now(number, [item])
            return
        waiting = self._waiting.setdefault(number.phone_number_id, [])
        waiting.append(item)
        if len(waiting) == 1:
            asyncio.get_running_loop().call_later(number.batch_ms / 1000, self._flush, number)

    def _flush(self, number: Number) -> None:
        waiting = self._waiting.pop(number.phone_number_id, [])
        for start in range(0, len(waiting), _BATCH):
            self.now(number, waiting[start : start + _BATCH])

    def now(self, number: Number, items: list[dict[str, Any]]) -> asyncio.Task[None]:
        """Send statuses in one webhook at once."""
        body = json.dumps(payloads.statuses(number, items)).encode()
        _, task = self.start(number, body, kind="status", ids=[f"{item['id']}:{item['status']}" for item in items])
        return task

    async def handshake(self, number: Number) -> bool:
        """Make the verification call that a platform makes when a webhook is saved."""
        challenge = str(secrets.randbelow(10**10))
        query = urlencode({"hub.mode": "subscribe", "hub.verify_token": number.verify_token, "hub.challenge": challenge})
        status, body = await self._poster.get(f"{number.webhook_url}?{query}")
        return status == 200 and body == challenge.encode()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def close(self) -> None:
        """Stop sending."""
        for timer in self._timers:
            timer.cancel()
        for task in self._tasks:
            task.cancel()
        self._poster.close()
