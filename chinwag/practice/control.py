"""The control API of the practice platform, under /_practice. Its requests and answers are listed in graph.py."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from chinwag.practice import numbers as hosted
from chinwag.practice import payloads
from chinwag.practice.log import Log
from chinwag.practice.messages import Messages, json_answer
from chinwag.practice.numbers import Number, Numbers
from chinwag.practice.people import People
from chinwag.practice.script import Script
from chinwag.practice.webhooks import Webhooks

Json = dict[str, Any]
_INBOUND = {"phone_number_id", "from", "bsuid", "text", "message", "name", "wamid", "timestamp", "raw", "wait_s"}


class Control:
    """The endpoints for tests and for `chinwag webhook send`."""

    def __init__(
        self,
        *,
        numbers: Numbers,
        people: People,
        log: Log,
        deliveries: Log,
        script: Script,
        webhooks: Webhooks,
        messages: Messages,
        stopping: asyncio.Event,
    ) -> None:
        self._numbers = numbers
        self._people = people
        self._log = log
        self._deliveries = deliveries
        self._script = script
        self._webhooks = webhooks
        self._messages = messages
        self._stopping = stopping

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/_practice/numbers", _guarded(self._register), methods=["POST"]),
            Route("/_practice/webhook", _guarded(self._register), methods=["POST"]),
            Route("/_practice/numbers", _guarded(self._list), methods=["GET"]),
            Route("/_practice/log", _guarded(self._read_log), methods=["GET"]),
            Route("/_practice/webhooks", _guarded(self._read_deliveries), methods=["GET"]),
            Route("/_practice/script", _guarded(self._plan), methods=["POST"]),
            Route("/_practice/release", _guarded(self._release), methods=["POST"]),
            Route("/_practice/inbound", _guarded(self._inbound), methods=["POST"]),
        ]

    async def _register(self, request: Request) -> Json:
        given = await _json(request)
        wants_handshake = bool(given.pop("handshake", False))
        number = hosted.build(given)
        self._numbers.register(number)
        answer: Json = {"phone_number_id": number.phone_number_id, "account": number.account}
        if wants_handshake:
            answer["handshake"] = await self._webhooks.handshake(number)
        return answer

    async def _list(self, _request: Request) -> Json:
        listed = [
            {"phone_number_id": one.phone_number_id, "webhook_url": one.webhook_url, "account": one.account, "statuses": one.statuses}
            for one in self._numbers.all()
        ]
        return {"numbers": listed, "held": self._messages.held, "rules_left": self._script.left(), "pending": self._webhooks.pending}

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

    async def _inbound(self, request: Request) -> Json:
        given = await _json(request)
        if unknown := sorted(set(given) - _INBOUND):
            raise ValueError(f"unknown: {', '.join(unknown)}; known: {', '.join(sorted(_INBOUND))}")
        number = self._numbers.get(str(given.get("phone_number_id")))
        if number is None:
            raise ValueError("phone_number_id is not registered here")
        wamid = str(given.get("wamid") or payloads.new_wamid())
        body = _raw(given["raw"]) if "raw" in given else self._build(number, given, wamid)
        delivery, task = self._webhooks.start(number, body, kind="inbound", ids=[wamid])
        stop = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({task, stop}, timeout=float(given.get("wait_s", 30)), return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        return {"wamid": wamid, "http_status": delivery.http_status, "attempts": delivery.attempts}

    def _build(self, number: Number, given: Json, wamid: str) -> bytes:
        phone, bsuid = str(given.get("from") or ""), str(given.get("bsuid") or "")
        if not phone and not bsuid:
            raise ValueError("from or bsuid is needed")
        message = given.get("message")
        if message is None:
            message = {"type": "text", "text": {"body": str(given["text"])}}
        self._people.wrote(number, phone=payloads.digits(phone), bsuid=bsuid)
        name = str(given.get("name") or "Practice Contact")
        timestamp = int(given["timestamp"]) if given.get("timestamp") is not None else None
        built = payloads.inbound(
            number, wamid=wamid, phone=phone, bsuid=bsuid, name=name, message=dict(cast("Json", message)), timestamp=timestamp
        )
        return json.dumps(built).encode()


def _raw(given: Any) -> bytes:
    return given.encode("utf-8", "surrogatepass") if isinstance(given, str) else json.dumps(given).encode()


async def _json(request: Request) -> Json:
    # The content type keeps foreign web pages out: a browser asks before it sends this one across origins.
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
