"""POST /vNN.0/{phone-number-id}/messages: checks, the log entry, the fault if one is scripted, the answer, the statuses."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response

from chinwag.practice import payloads, rules
from chinwag.practice.answers import HangUp, Silence
from chinwag.practice.log import Entry, Log
from chinwag.practice.numbers import Number, Numbers
from chinwag.practice.people import People
from chinwag.practice.refusals import Refusal, missing
from chinwag.practice.script import Fault, Script
from chinwag.practice.webhooks import Webhooks

Json = dict[str, Any]

#: The newest version of the Graph API; calls to versions before the oldest living one are served by that.
NEWEST_VERSION, OLDEST_VERSION = 26, 20

_VERSION = re.compile(r"v([1-9][0-9]{0,2})\.[0-9]")
_FINE = Fault()


def served_version(version: str, path: str) -> str:
    """Return the version that serves a call. Raises Refusal for one that does not exist yet."""
    found = _VERSION.fullmatch(version)
    if found is None or int(found[1]) > NEWEST_VERSION:
        message = f"Unknown path components: /{path}"
        raise Refusal(2500, message=message, kind="GraphMethodException")
    return f"v{max(int(found[1]), OLDEST_VERSION)}.0"


def bearer(request: Request) -> str:
    """Return the access token of a request. Raises Refusal without one."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Refusal(190, message="An access token is required to request this resource.")
    return token.strip()


def unknown_object(object_id: str, verb: str) -> Refusal:
    """Return the refusal for an id that this token cannot see."""
    message = (
        f"Unsupported {verb} request. Object with ID '{object_id}' does not exist, cannot be loaded due to "
        "missing permissions, or does not support this operation."
    )
    return Refusal(100, message=message, subcode=33, kind="GraphMethodException")


def json_answer(content: Json, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return JSON as the Graph API does."""
    return Response(json.dumps(content), status, headers, media_type="application/json; charset=UTF-8")


@dataclass(frozen=True, slots=True)
class Accepted:
    """A request that passed every check."""

    number: Number
    facts: Json
    body: Json
    version: str


class Messages:
    """The endpoint with what it needs."""

    def __init__(self, *, numbers: Numbers, people: People, log: Log, script: Script, webhooks: Webhooks, stopping: asyncio.Event) -> None:
        self._numbers = numbers
        self._people = people
        self._log = log
        self._script = script
        self._webhooks = webhooks
        self._stopping = stopping
        self._holds: dict[int, asyncio.Future[bool]] = {}

    @property
    def held(self) -> int:
        """Return how many requests are held."""
        return len(self._holds)

    def release(self, *, accept: bool) -> int:
        """Let every held request go on, accepted or dropped; return how many."""
        holds, self._holds = self._holds, {}
        for hold in holds.values():
            if not hold.done():
                hold.set_result(accept)
        return len(holds)

    async def answer(self, request: Request) -> Response:
        """Answer one request to /messages."""
        body: Any = None
        phone_number_id = str(request.path_params["phone_number_id"])
        try:
            version = served_version(str(request.path_params["version"]), "messages")
            raw = await request.body()
            body = _read(raw, request.headers.get("content-type", ""))
            number = self._authorise(request, phone_number_id)
            kind = rules.check(body)
            if kind == "message":
                self._people.admit(number, payloads.digits(body.get("to") or "") or body["recipient"])
        except Refusal as refusal:
            facts = _facts(phone_number_id, _fields(body), "read" if "status" in _fields(body) else "message")
            self._record(facts, body, "refused", refusal=refusal)
            return json_answer(refusal.body(), refusal.http_status)
        accepted = Accepted(number, _facts(phone_number_id, body, kind), body, version)
        return await self._treat(accepted, self._script.take(accepted.facts))

    def _authorise(self, request: Request, phone_number_id: str) -> Number:
        opened = self._numbers.of_token(bearer(request))
        if not opened:
            raise Refusal(190, message="Error validating access token: this token is not known here.")
        for number in opened:
            if number.phone_number_id == phone_number_id:
                return number
        raise unknown_object(phone_number_id, "post")

    async def _treat(self, asked: Accepted, scripted: Fault | None) -> Response:
        fault = scripted or _FINE
        latency_ms = fault.latency_ms if fault.latency_ms is not None else asked.number.latency_ms
        if fault.name in ("refuse", "http", "hang", "close"):
            return await self._turn_away(asked, fault, latency_ms)
        if fault.name == "read_body_then_hold" and not await self._hold(asked, fault):
            return HangUp()
        if asked.facts["kind"] != "message":
            self._record(asked.facts, asked.body, "accepted", fault=scripted)
            content: Json = {"success": True}
        else:
            content = await self._accept(asked, scripted, latency_ms)
        if latency_ms:
            await asyncio.sleep(latency_ms / 1000)
        return self._reply(content, fault, asked.version)

    async def _turn_away(self, asked: Accepted, fault: Fault, latency_ms: float) -> Response:
        refusal = Refusal(fault.code or 4, http_status=fault.http_status)
        self._record(asked.facts, asked.body, "refused", refusal=refusal if fault.name in ("refuse", "http") else None, fault=fault)
        await asyncio.sleep(latency_ms / 1000)
        if fault.name == "hang":
            return Silence(self._stopping)
        if fault.name == "close":
            return HangUp()
        headers: dict[str, str] = {}
        if fault.retry_after_s is not None or fault.http_status == 429:
            headers["retry-after"] = f"{fault.retry_after_s if fault.retry_after_s is not None else 1:g}"
        if fault.name == "http" and fault.http_status != 429 and fault.code is None:
            return Response("<html><body>Sorry, something went wrong.</body></html>", fault.http_status or 500, headers, "text/html")
        return json_answer(refusal.body(), refusal.http_status, headers)

    async def _hold(self, asked: Accepted, fault: Fault) -> bool:
        entry = self._record(asked.facts, asked.body, "held", fault=fault)
        hold: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._holds[entry["n"]] = hold
        stop = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({hold, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        return hold.done() and hold.result()

    async def _accept(self, asked: Accepted, scripted: Fault | None, latency_ms: float) -> Json:
        fault, facts = scripted or _FINE, asked.facts
        wamid = payloads.new_wamid()
        self._record(facts, asked.body, "accepted", external_id=wamid, fault=scripted)
        phone = payloads.digits(facts["to"] or "")
        bsuid = (facts["recipient"] if not phone else None) or self._people.bsuid_of(phone)
        before = fault.name == "status_before_response"
        tasks: list[asyncio.Task[None]] = []
        for name, delay_ms in asked.number.statuses if fault.statuses is None else fault.statuses:
            item = payloads.status(name, wamid=wamid, phone=phone, bsuid=bsuid, correlation=facts["correlation"], code=fault.code)
            for _ in range(fault.status_times):
                if before:
                    tasks.append(self._webhooks.now(asked.number, [item]))
                else:
                    self._webhooks.later((latency_ms + delay_ms) / 1000 + fault.status_delay_s, asked.number, item)
        if tasks:
            await asyncio.wait(tasks, timeout=5)
        contact = {"input": facts["to"] or facts["recipient"]}
        if phone:
            contact["wa_id"] = phone
        if bsuid:
            contact["user_id"] = bsuid
        return {"messaging_product": "whatsapp", "contacts": [contact], "messages": [{"id": wamid}]}

    def _reply(self, content: Json, fault: Fault, version: str) -> Response:
        if fault.name == "accept_then_hang":
            return Silence(self._stopping)
        if fault.name in ("accept_then_close", "truncated_200"):
            return HangUp(half=fault.name == "truncated_200")
        if fault.name == "garbage_200":
            return Response("<!doctype html><p>It works!", 200, media_type="application/json")
        return json_answer(content, 200, {"facebook-api-version": version})

    def _record(
        self,
        facts: Json,
        body: Any,
        outcome: str,
        *,
        external_id: str | None = None,
        refusal: Refusal | None = None,
        fault: Fault | None = None,
    ) -> Entry:
        return self._log.add(
            **facts,
            external_id=external_id if external_id is not None else facts.get("message_id"),
            outcome=outcome,
            code=refusal.code if refusal is not None else None,
            details=(refusal.details or refusal.message) if refusal is not None else None,
            fault=fault.name if fault is not None else None,
            body=body,
        )


def _fields(body: Any) -> Json:
    return cast("Json", body) if isinstance(body, dict) else {}


def _read(raw: bytes, content_type: str) -> Any:
    if not content_type.lower().startswith("application/json"):
        raise missing("messaging_product")
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise Refusal(100, "The body is not JSON.") from error


def _facts(phone_number_id: str, body: Json, kind: str) -> Json:
    facts: Json = {
        "kind": kind,
        "phone_number_id": phone_number_id,
        "to": body.get("to"),
        "recipient": body.get("recipient"),
        "type": body.get("type", "text") if kind == "message" else None,
        "text": _fields(body.get("text")).get("body"),
        "correlation": body.get("biz_opaque_callback_data"),
    }
    if "message_id" in body:
        facts["message_id"] = body["message_id"]
    return facts
