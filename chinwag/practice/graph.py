"""A Graph server for practice and for tests: the Cloud API as documented, with a log and with faults on demand.

Graph API: POST /vNN.0/{phone-number-id}/messages · GET /vNN.0/{phone-number-id}?fields= · GET /vNN.0/debug_token?input_token=

Control API (JSON, for loopback only; see chinwag/practice/control.py):
  POST /_practice/numbers   {phone_number_id, webhook_url, app_secret, access_token, verify_token?, handshake?: bool, statuses?,
                            latency_ms?, batch_ms?, retry_delays_s?, ...: the fields of numbers.Number} registers or replaces
  GET  /_practice/numbers   what is registered, without secrets
  GET  /_practice/log       ?after=N &wait=SECONDS &limit= -> {"last", "entries": [{n, at, kind: message|read|typing, phone_number_id,
                            to, recipient, type, text, correlation, external_id, outcome: accepted|refused|held, code, fault, body}]}
  GET  /_practice/webhooks  ?after=N &wait= -> {"last", "pending", "entries": [{n, at, kind: status|inbound, ids, attempt, http_status}]}
  POST /_practice/script    {"match": {...}, "faults": [...]} adds a rule, {"clear": true} forgets all first (see script.py)
  POST /_practice/release   {"accept"?: true} lets requests of read_body_then_hold go on -> {"released"}
  POST /_practice/inbound   {phone_number_id, from?, bsuid?, text?, message?, name?, wamid?, timestamp?, raw?, wait_s?} builds, signs and
                            posts a webhook with retries -> {"wamid", "http_status", "attempts"}
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from chinwag.practice.control import Control
from chinwag.practice.log import Log
from chinwag.practice.messages import Messages, bearer, json_answer, served_version, unknown_object
from chinwag.practice.numbers import Number, Numbers
from chinwag.practice.people import People
from chinwag.practice.refusals import Refusal
from chinwag.practice.script import Script
from chinwag.practice.webhooks import Webhooks

_SCOPES = ["whatsapp_business_management", "whatsapp_business_messaging"]
_DEFAULT_FIELDS = "verified_name,code_verification_status,display_phone_number,quality_rating,id"


class Graph:
    """The practice platform: its endpoints and what they share."""

    def __init__(self, state: Path | None) -> None:
        if state is not None:
            state.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.stopping = asyncio.Event()
        self._numbers = Numbers(state)
        self._log = Log(state)
        self._deliveries = Log(None, kept=50_000)
        self._webhooks = Webhooks(self._numbers, self._deliveries)
        script, people = Script(), People()
        self._messages = Messages(
            numbers=self._numbers, people=people, log=self._log, script=script, webhooks=self._webhooks, stopping=self.stopping
        )
        self._control = Control(
            numbers=self._numbers,
            people=people,
            log=self._log,
            deliveries=self._deliveries,
            script=script,
            webhooks=self._webhooks,
            messages=self._messages,
            stopping=self.stopping,
        )

    def app(self) -> Starlette:
        """Return the ASGI application."""
        routes = [
            Route("/{version}/{phone_number_id}/messages", self._messages.answer, methods=["POST"]),
            *self._control.routes(),
            Route("/{version}/debug_token", self._debug_token),
            Route("/debug_token", self._debug_token),
            Route("/{version}/{object_id}", self._object),
            Route("/{object_id}", self._object),
            Route("/{rest:path}", self._elsewhere, methods=["GET", "POST", "DELETE"]),
        ]
        return Starlette(routes=routes, lifespan=self._lifespan, exception_handlers={Refusal: _refused})

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncGenerator[None]:
        yield
        self._webhooks.close()
        self._log.close()

    async def _object(self, request: Request) -> Response:
        object_id = str(request.path_params["object_id"])
        version = _version(request, object_id)
        if object_id == "me" and "authorization" not in request.headers:
            raise Refusal(2500)
        opened = self._numbers.of_token(bearer(request))
        if not opened:
            raise Refusal(190, message="Error validating access token: this token is not known here.")
        for number in opened:
            if number.phone_number_id == object_id:
                wanted = request.query_params.get("fields") or _DEFAULT_FIELDS
                return json_answer(_fields(number, wanted), 200, {"facebook-api-version": version})
        raise unknown_object(object_id, "get")

    async def _debug_token(self, request: Request) -> Response:
        version = _version(request, "debug_token")
        asking = request.query_params.get("access_token") or bearer(request)
        if not self._numbers.of_token(asking) and not self._numbers.is_app_token(asking):
            raise Refusal(190, message="Invalid OAuth access token - Cannot parse access token")
        token = request.query_params.get("input_token")
        if not token:
            raise Refusal(100, message="(#100) The parameter input_token is required.")
        data: dict[str, Any] = {"is_valid": False, "scopes": []}
        if numbers := self._numbers.of_token(token):
            targets = sorted({number.waba_id for number in numbers})
            granular = [{"scope": scope, "target_ids": targets} for scope in _SCOPES]
            data = {"app_id": "100200300400500", "type": "SYSTEM_USER", "application": "Practice", "is_valid": True}
            data |= {"expires_at": 0, "issued_at": 1795500000, "scopes": _SCOPES, "granular_scopes": granular, "user_id": "122000000000001"}
        else:
            data["error"] = {"code": 190, "message": "Invalid OAuth access token."}
        return json_answer({"data": data}, 200, {"facebook-api-version": version})

    async def _elsewhere(self, request: Request) -> Response:
        raise Refusal(2500, message=f"Unknown path components: {request.url.path}", kind="GraphMethodException")


def _version(request: Request, path: str) -> str:
    return served_version(str(request.path_params.get("version", "v25.0")), path)


def _fields(number: Number, wanted: str) -> dict[str, Any]:
    has: dict[str, Any] = {
        "id": number.phone_number_id,
        "display_phone_number": number.display_phone_number,
        "verified_name": number.verified_name,
        "quality_rating": "GREEN",
        "status": "CONNECTED",
        "code_verification_status": "VERIFIED",
        "name_status": "APPROVED",
        "platform_type": "CLOUD_API",
        "throughput": {"level": "STANDARD"},
        "webhook_configuration": {"phone_number": number.webhook_url},
        "health_status": {"can_send_message": "AVAILABLE", "entities": []},
        "whatsapp_business_manager_messaging_limit": "TIER_250",
    }
    names = [name.strip() for name in wanted.split(",") if name.strip()]
    for name in names:
        if name not in has:
            raise Refusal(100, message=f"(#100) Tried accessing nonexisting field ({name}) on node type (WhatsAppBusinessPhoneNumber)")
    return {name: has[name] for name in [*names, "id"]}


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return json_answer(error.body(), error.http_status)
