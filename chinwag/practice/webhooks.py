"""Signed webhooks with retries: each is sent until its 200, with growing waits, to the account's current address."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Coroutine
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from bots.channels.signature import sign_meta
from chinwag.practice import payloads, threads
from chinwag.practice.accounts import Account, Accounts
from chinwag.practice.apps import Apps
from chinwag.practice.log import Log
from chinwag.practice.mangle import SIGNATURE, encode, mangle
from chinwag.practice.numbers import Number
from chinwag.practice.pages import Page
from chinwag.practice.post import Poster

Json = dict[str, Any]

_PHRASES = {one.value: one.phrase for one in HTTPStatus}
_BATCH = 1000


@dataclass(slots=True)
class Delivery:
    """The state of one webhook's delivery."""

    http_status: int = 0
    attempts: int = 0
    #: The address; empty: nobody is subscribed, and the webhook is lost.
    url: str = ""


class Webhooks:
    """All webhooks that are being delivered to businesses."""

    def __init__(self, accounts: Accounts, apps: Apps, log: Log) -> None:
        self._accounts = accounts
        self._apps = apps
        self._log = log
        self._poster = Poster()
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: set[asyncio.TimerHandle] = set()
        self._waiting: dict[str, list[Json]] = {}
        self._mangled: dict[str, str] = {}

    @property
    def pending(self) -> int:
        """Return how many webhooks have no 200 yet."""
        return len(self._tasks) + len(self._timers) + sum(map(len, self._waiting.values()))

    def address(self, account: Account) -> str:
        """Return where an account's messages go; empty: nowhere."""
        return self._apps.callback(account, "messages")

    def mangle(self, account: Account, how: str | None) -> None:
        """Damage an account's webhooks on their way from now on, or stop doing so."""
        if how is None:
            self._mangled.pop(account.id, None)
        else:
            self._mangled[account.id] = how

    def start(
        self, account: Account, body: bytes, *, kind: str, ids: list[str], field: str = "messages"
    ) -> tuple[Delivery, asyncio.Task[None]]:
        """Start to deliver a body."""
        delivery = Delivery(url=self._apps.callback(account, field))
        return delivery, self._spawn(self._deliver(account, body, delivery, kind=kind, ids=ids, field=field))

    async def _deliver(self, account: Account, body: bytes, delivery: Delivery, *, kind: str, ids: list[str], field: str) -> None:
        give_up = asyncio.get_running_loop().time() + account.give_up_s
        while True:
            current = self._accounts.get(account.id) or account
            delivery.url = self._apps.callback(current, field)
            if not delivery.url:
                return
            sent, headers = body, {}
            if how := self._mangled.get(account.id) if self._mangled else None:
                sent, headers = mangle(how, body, current, self._accounts.all())
            else:
                headers = {SIGNATURE: sign_meta(body, current.app_secret)}
            delivery.attempts += 1
            delivery.http_status = await self._poster.post(delivery.url, sent, headers)
            self._log.add(
                channel=account.kind,
                account_id=account.id,
                phone_number_id=account.id if account.kind == "whatsapp" else None,
                kind=kind,
                ids=ids,
                attempt=delivery.attempts,
                http_status=delivery.http_status,
            )
            if delivery.http_status == 200:
                return
            delays = current.retry_delays_s
            delay = delays[min(delivery.attempts, len(delays)) - 1]
            if asyncio.get_running_loop().time() + delay > give_up:
                return
            await asyncio.sleep(delay)

    def later(self, delay_s: float, account: Account, item: Json) -> None:
        """Send a status after some time."""
        loop = asyncio.get_running_loop()

        def due() -> None:
            self._timers.discard(handle)
            self._send_status(account, item)

        handle = loop.call_later(delay_s, due)
        self._timers.add(handle)

    def _send_status(self, account: Account, item: Json) -> None:
        if account.batch_ms <= 0:
            self.now(account, [item])
            return
        waiting = self._waiting.setdefault(account.id, [])
        waiting.append(item)
        if len(waiting) == 1:
            asyncio.get_running_loop().call_later(account.batch_ms / 1000, self._flush, account)

    def _flush(self, account: Account) -> None:
        waiting = self._waiting.pop(account.id, [])
        for start in range(0, len(waiting), _BATCH):
            self.now(account, waiting[start : start + _BATCH])

    def now(self, account: Account, items: list[Json]) -> list[asyncio.Task[None]]:
        """Send statuses in one webhook at once: those whose field is subscribed."""
        if isinstance(account, Number):
            body = encode(payloads.statuses(account, items))
            return [self.start(account, body, kind="status", ids=[f"{item['id']}:{item['status']}" for item in items])[1]]
        assert isinstance(account, Page)
        asked = [item for item in items if self._apps.callback(account, threads.field_of(account, item))]
        if not asked:
            return []
        ids, field = [threads.label_of(item) for item in asked], threads.field_of(account, asked[0])
        return [self.start(account, encode(threads.envelope(account, asked)), kind="status", ids=ids, field=field)[1]]

    async def handshake(self, url: str, verify_token: str) -> str:
        """Make the verification call that a platform makes when a webhook is saved; return what went wrong, or nothing."""
        challenge = str(secrets.randbelow(10**10))
        query = urlencode({"hub.mode": "subscribe", "hub.verify_token": verify_token, "hub.challenge": challenge})
        status, body = await self._poster.get(f"{url}{'&' if '?' in url else '?'}{query}")
        if status == 0:
            return "Connection failed"
        if status != 200:
            return f"HTTP Status Code = {status}; HTTP Message = {_PHRASES.get(status, 'Error')}"
        return "" if body == challenge.encode() else "Verification failed, challenge was not returned"

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
