"""The control API of the practice platform, under /_practice. Its requests and answers are listed in graph.py."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from chinwag.practice import numbers, pages
from chinwag.practice.accounts import Account, Accounts
from chinwag.practice.apps import FIELDS, Apps, Subscription
from chinwag.practice.calls import json_answer
from chinwag.practice.inbound import Inbound
from chinwag.practice.log import Log
from chinwag.practice.mangle import WAYS
from chinwag.practice.messages import Messages
from chinwag.practice.numbers import Number
from chinwag.practice.pages import Page
from chinwag.practice.script import Script
from chinwag.practice.webhooks import Webhooks
from chinwag.practice.world import World

Json = dict[str, Any]


def build(given: Json) -> Account:
    """Build an account of any channel from JSON; without a channel it is a WhatsApp number. Raises ValueError."""
    values = dict(given)
    if values.get("channel", "whatsapp") != "whatsapp":
        return pages.build(values)
    values.pop("channel", None)
    return numbers.build(values)


class Control:
    """The endpoints for tests, for `chinwag webhook send`, and for people who practise."""

    def __init__(
        self,
        *,
        accounts: Accounts,
        apps: Apps,
        inbound: Inbound,
        log: Log,
        deliveries: Log,
        script: Script,
        webhooks: Webhooks,
        messages: Messages,
        stopping: asyncio.Event,
    ) -> None:
        self._accounts = accounts
        self._apps = apps
        self._inbound = inbound
        self._world = World(accounts, apps)
        self._log = log
        self._deliveries = deliveries
        self._script = script
        self._webhooks = webhooks
        self._messages = messages
        self._stopping = stopping

    def routes(self) -> list[Route]:
        """Return the routes."""
        asked = {"numbers": self._list, "accounts": self._list_all, "log": self._read_log, "webhooks": self._read_deliveries}
        told = {"numbers": self._register, "webhook": self._register, "accounts": self._register, "script": self._plan}
        told |= {"release": self._release, "inbound": self._write, "person": self._write_as_person, "mangle": self._mangle}
        told |= {"dashboard": self._paste}
        return [
            Route("/_practice/world", _guarded(self._show_world), methods=["GET"]),
            *(Route(f"/_practice/{name}", _guarded(work), methods=["GET"]) for name, work in asked.items()),
            *(Route(f"/_practice/{name}", _guarded(work), methods=["POST"]) for name, work in told.items()),
        ]

    async def _register(self, request: Request) -> Json:
        given = await _json(request)
        wants_handshake = bool(given.pop("handshake", False))
        account = build(given)
        self._accounts.register(account)
        answer: Json = {"channel": account.kind, "account_id": account.id, "account": account.account}
        if isinstance(account, Number):
            answer["phone_number_id"] = account.id
        if wants_handshake:
            answer["handshake"] = not await self._webhooks.handshake(account.webhook_url, account.verify_token)
        return answer

    async def _list(self, _request: Request) -> Json:
        listed = [
            {"phone_number_id": one.id, "webhook_url": one.webhook_url, "account": one.account, "statuses": one.statuses}
            for one in self._accounts.all()
            if isinstance(one, Number)
        ]
        return {"numbers": listed, "held": self._messages.held, "rules_left": self._script.left(), "pending": self._webhooks.pending}

    async def _list_all(self, _request: Request) -> Json:
        return {"accounts": [self._shown(one) for one in self._accounts.all()], "pending": self._webhooks.pending}

    def _shown(self, one: Account) -> Json:
        url = self._apps.callback(one, "messages")
        found: Json = {"channel": one.kind, "account_id": one.id, "account": url.rstrip("/").rsplit("/", 1)[-1], "callback_url": url}
        return found | {"app_id": one.app_id, "door": one.door if isinstance(one, Page) else "page", "statuses": one.statuses}

    async def _show_world(self, _request: Request) -> Json:
        return self._world.show()

    async def _paste(self, request: Request) -> Json:
        """Do what a person does on the app's pages: paste address and verify token, and tick every field."""
        given = await _json(request)
        account, url = self._inbound.find(given), str(given.get("callback_url") or "")
        if not url.startswith(("http://", "https://")):
            raise ValueError("callback_url has to begin with http:// or https://")
        if not account.app_id:
            raise ValueError("the account was registered without an app_id")
        wrong = await self._webhooks.handshake(url, str(given.get("verify_token") or ""))
        if not wrong:
            fields = FIELDS[account.webhook_object]
            self._apps.subscribe(account.app_id, account.webhook_object, Subscription(callback_url=url, fields=fields))
            self._apps.follow(account, Subscription(fields=fields))
        return {"handshake": not wrong, "why": wrong}

    async def _mangle(self, request: Request) -> Json:
        given = await _json(request)
        how = given.get("how")
        if how is not None and how not in WAYS:
            raise ValueError(f"how has to be one of {', '.join(WAYS)}, or null")
        account = self._inbound.find(given)
        self._webhooks.mangle(account, how)
        return {"account_id": account.id, "how": how}

    async def _write(self, request: Request) -> Json:
        return await self._inbound.write(await _json(request))

    async def _write_as_person(self, request: Request) -> Json:
        return await self._inbound.person(await _json(request))

    async def _read_log(self, request: Request) -> Json:
        return await self._entries(self._log, request)

    async def _read_deliveries(self, request: Request) -> Json:
        return {"pending": self._webhooks.pending, **await self._entries(self._deliveries, request)}

    async def _entries(self, log: Log, request: Request) -> Json:
        after = int(request.query_params.get("after", 0))
        limit = int(request.query_params.get("limit", 1_000_000))
        wait = min(float(request.query_params.get("wait", 0)), 30.0)
        if wait > 0 and log.last <= after:
            waiting = asyncio.create_task(log.wait(after, wait))
            stop = asyncio.create_task(self._stopping.wait())
            await asyncio.wait({waiting, stop}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            stop.cancel()
        return {"last": log.last, "entries": log.after(after, limit=limit)}

    async def _plan(self, request: Request) -> Json:
        given = await _json(request)
        if given.get("clear"):
            self._script.clear()
        if "faults" in given:
            self._script.add(dict(given.get("match") or {}), list(given["faults"]))
        return {"rules_left": self._script.left()}

    async def _release(self, request: Request) -> Json:
        given = await _json(request) if await request.body() else {}
        return {"released": self._messages.release(accept=bool(given.get("accept", True)))}


async def _json(request: Request) -> Json:
    # The content type keeps other sites' pages out: a browser asks before it sends this one across origins.
    if not request.headers.get("content-type", "").startswith("application/json"):
        raise ValueError("content-type has to be application/json")
    given: Any = json.loads(await request.body())
    if not isinstance(given, dict):
        raise TypeError("the body has to be a JSON object")
    return cast("Json", given)


def _guarded(work: Callable[[Request], Awaitable[Json]]) -> Callable[[Request], Awaitable[Response]]:
    async def run(request: Request) -> Response:
        try:
            return json_answer(await work(request))
        except (ValueError, TypeError, KeyError, IndexError) as error:
            return json_answer({"error": f"{type(error).__name__}: {error}"}, 400)

    return run
