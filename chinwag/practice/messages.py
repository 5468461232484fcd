"""POST /vNN.0/{sender}/messages for every channel: checks, the log entry, the fault if one is scripted, the answer, the statuses.

One address serves a WhatsApp number, a page and an Instagram account of either login type: the token says which is meant.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response

from chinwag.practice.accounts import Account, Accounts
from chinwag.practice.answers import HangUp, Silence
from chinwag.practice.calls import Versions, bearer, json_answer, prove, unknown_object
from chinwag.practice.cloud import Cloud
from chinwag.practice.log import Entry, Log
from chinwag.practice.numbers import Number
from chinwag.practice.pages import Page
from chinwag.practice.people import People
from chinwag.practice.refusals import Refusal, missing
from chinwag.practice.script import Fault, Script
from chinwag.practice.threads import Threads
from chinwag.practice.webhooks import Webhooks

Json = dict[str, Any]

_FINE = Fault()


@dataclass(frozen=True, slots=True)
class Accepted:
    """A request that passed every check."""

    account: Account
    facts: Json
    body: Json
    version: str


class Messages:
    """The endpoint with its dependencies."""

    def __init__(
        self,
        *,
        accounts: Accounts,
        people: People,
        log: Log,
        script: Script,
        webhooks: Webhooks,
        versions: Versions,
        stopping: asyncio.Event,
    ) -> None:
        self._accounts = accounts
        self._people = people
        self._log = log
        self._script = script
        self._webhooks = webhooks
        self._versions = versions
        self._stopping = stopping
        self._holds: dict[int, asyncio.Future[bool]] = {}
        self._cloud, self._threads = Cloud(people), Threads(people)

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
        account: Account | None = None
        sender = str(request.path_params["sender"])
        try:
            version = self._versions.served(str(request.path_params["version"]), "messages")
            body = _read(await request.body(), request.headers.get("content-type", ""))
            account = self._authorise(request, sender, body)
            kind = self._check(account, body)
        except Refusal as refusal:
            self._record(self._facts_of_refused(account, sender, _fields(body)), body, "refused", refusal=refusal)
            return json_answer(refusal.body(), refusal.http_status, self._versions.headers(str(request.path_params["version"])))
        accepted = Accepted(account, self._facts(account, sender, body, kind), body, version)
        return await self._treat(accepted, self._script.take(accepted.facts))

    def _authorise(self, request: Request, sender: str, body: Any) -> Account:
        token = bearer(request)
        opened = self._accounts.opened(token)
        prove(request.query_params.get("appsecret_proof"), token, opened)
        found = [account for account in opened if account.speaks_as(sender)]
        if not found:
            raise unknown_object(sender, "post")
        if len(found) > 1:
            # A page and the Instagram account linked to it share the page's token: whose contact is it?
            person = str(_fields(_fields(body).get("recipient")).get("id"))
            found = [account for account in found if self._people.has_written(account, person)] or found
        return found[0]

    def _check(self, account: Account, body: Any) -> str:
        return self._cloud.check(account, body) if isinstance(account, Number) else self._threads.check(cast("Page", account), body)

    def _facts(self, account: Account | None, sender: str, body: Json, kind: str) -> Json:
        if isinstance(account, Page):
            return self._threads.facts(account, sender, body, kind)
        return self._cloud.facts(account if isinstance(account, Number) else None, sender, body, kind)

    def _facts_of_refused(self, account: Account | None, sender: str, body: Json) -> Json:
        if isinstance(account, Page) or (account is None and isinstance(body.get("recipient"), dict)):
            kind = "typing" if "sender_action" in body else "message"
            return self._threads.facts(account if isinstance(account, Page) else None, sender, body, kind)
        return self._facts(account, sender, body, "read" if "status" in body else "message")

    async def _treat(self, asked: Accepted, scripted: Fault | None) -> Response:
        fault = scripted or _FINE
        latency_ms = fault.latency_ms if fault.latency_ms is not None else asked.account.latency_ms
        if fault.name in ("refuse", "http", "hang", "close"):
            return await self._turn_away(asked, fault, latency_ms)
        if fault.name == "read_body_then_hold" and not await self._hold(asked, fault):
            return HangUp()
        if asked.facts["kind"] != "message":
            self._record(asked.facts, asked.body, "accepted", fault=scripted)
            content = (self._cloud if isinstance(asked.account, Number) else self._threads).done(asked.facts)
        else:
            content = await self._accept(asked, scripted, latency_ms)
        if latency_ms:
            await asyncio.sleep(latency_ms / 1000)
        return self._reply(content, fault, asked.version)

    async def _turn_away(self, asked: Accepted, fault: Fault, latency_ms: float) -> Response:
        refusal = Refusal(fault.code or 4, http_status=fault.http_status, subcode=fault.subcode)
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
        fault, account = scripted or _FINE, asked.account
        if isinstance(account, Number):
            taken = self._cloud.accept(account, asked.facts, asked.body)
        else:
            taken = self._threads.accept(cast("Page", account), asked.facts, asked.body)
        self._record(asked.facts, asked.body, "accepted", external_id=taken.external_id, fault=scripted)
        before = fault.name == "status_before_response"
        tasks: list[asyncio.Task[None]] = []
        for name, delay_ms in account.statuses if fault.statuses is None else fault.statuses:
            item = taken.report(name, fault.code)
            if item is None:
                continue
            for _ in range(fault.status_times):
                if before:
                    tasks += self._webhooks.now(account, [item])
                else:
                    self._webhooks.later((latency_ms + delay_ms) / 1000 + fault.status_delay_s, account, item)
        if tasks:
            await asyncio.wait(tasks, timeout=5)
        return taken.answer

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
            subcode=(refusal.subcode or None) if refusal is not None else None,
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
