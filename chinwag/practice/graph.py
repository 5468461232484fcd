"""A Graph server for practice and for tests: the Cloud API, Messenger and Instagram as documented, with a log and with faults on demand.

Graph API (chinwag/practice/messages.py, setup.py):
  POST /vNN.0/{phone-number-id | page-id | ig-id | me}/messages
  GET  /vNN.0/debug_token?input_token= · /{id}?fields= · /me?fields= · /{waba-id}/phone_numbers · POST /{phone-number-id}
  GET  /{media-id} and the picture servers' addresses (chinwag/practice/pictures.py)
  POST, GET, DELETE /{app-id}/subscriptions · /{waba-id | page-id | me}/subscribed_apps

Control API (JSON, for loopback only; see chinwag/practice/control.py):
  POST /_practice/accounts  {channel?: whatsapp|messenger|instagram, ...: the fields of numbers.Number or pages.Page, handshake?: bool}
                            registers or replaces: phone_number_id or account_id (and page_id, door), webhook_url, app_secret,
                            access_token, app_id?, verify_token?, scopes?, expires_at?, is_valid?, require_proof?, statuses?, ...
  GET  /_practice/accounts  what is registered and where its webhooks go, without secrets
  POST /_practice/numbers   the same for WhatsApp alone; GET lists the numbers
  GET  /_practice/log       ?after=N &wait=SECONDS &limit= -> {"last", "entries": [{n, at, kind: message|read|typing|typing_off|reaction,
                            or picture, channel, account_id, phone_number_id, to, recipient, type, text, correlation, external_id,
                            outcome: accepted|refused|held, code, subcode, fault, body}]}
  GET  /_practice/webhooks  ?after=N &wait= -> {"last", "pending", "entries": [{n, at, kind: status|inbound, channel, account_id, ids,
                            attempt, http_status}]}
  POST /_practice/script    {"match": {...}, "faults": [...]} adds a rule, {"clear": true} forgets all first (see script.py)
  POST /_practice/release   {"accept"?: true} lets requests of read_body_then_hold go on -> {"released"}
  POST /_practice/inbound   {phone_number_id | account_id | account, channel?, from?, text?, raw?, wait_s?, timestamp?,
                            pictures?: [{data: base64, media_type?, kind?, filename?}] (one on WhatsApp, whose text is its caption);
                            WhatsApp: bsuid?, message?, name?, wamid?; threads: mid?, message?, postback?, quick_reply?, attachments?,
                            reply_to?, item?, by?: human, standby?: bool} builds, signs and posts a webhook with retries
                            -> {"message_id", "wamid", "http_status", "attempts", "callback_url", "why"?}
  POST /_practice/person    the same, with a person and a text of its own by default
  GET  /_practice/world     per channel an account that nobody has connected yet, with what Meta's pages would show about it
  POST /_practice/dashboard {account_id | account, callback_url, verify_token} pastes them as a person would -> {"handshake", "why"}
  POST /_practice/mangle    {account_id | account, how: wrong_secret|other_app|reencode|plus_to_space|strip_header|null}
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from chinwag.practice.accounts import Accounts
from chinwag.practice.apps import Apps
from chinwag.practice.calls import Versions, json_answer
from chinwag.practice.control import Control, build
from chinwag.practice.inbound import Inbound
from chinwag.practice.log import Log
from chinwag.practice.messages import Messages
from chinwag.practice.people import People
from chinwag.practice.pictures import Pictures
from chinwag.practice.refusals import Refusal
from chinwag.practice.script import Script
from chinwag.practice.setup import SetUp
from chinwag.practice.webhooks import Webhooks


class Graph:
    """The practice platform: its endpoints and what they share."""

    def __init__(self, state: Path | None, versions: Versions | None = None, *, address: str = "") -> None:
        """Build the platform; address is where it listens, and what pictures' addresses begin with."""
        if state is not None:
            state.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.stopping = asyncio.Event()
        self._versions = versions or Versions()
        accounts = _accounts(state)
        apps = Apps(accounts, state)
        self._log = Log(state)
        deliveries = Log(None, kept=50_000)
        self._webhooks = Webhooks(accounts, apps, deliveries)
        script, people = Script(), People()
        self._pictures = Pictures(
            accounts=accounts, log=self._log, script=script, versions=self._versions, stopping=self.stopping, address=address
        )
        self._messages = Messages(
            accounts=accounts,
            people=people,
            log=self._log,
            script=script,
            webhooks=self._webhooks,
            versions=self._versions,
            stopping=self.stopping,
        )
        self._set_up = SetUp(accounts=accounts, apps=apps, versions=self._versions, webhooks=self._webhooks, pictures=self._pictures)
        self._control = Control(
            accounts=accounts,
            apps=apps,
            inbound=Inbound(accounts=accounts, people=people, webhooks=self._webhooks, pictures=self._pictures, stopping=self.stopping),
            log=self._log,
            deliveries=deliveries,
            script=script,
            webhooks=self._webhooks,
            messages=self._messages,
            stopping=self.stopping,
        )

    def app(self) -> Starlette:
        """Return the ASGI application."""
        routes = [
            Route("/{version}/{sender}/messages", self._messages.answer, methods=["POST"]),
            *self._control.routes(),
            *self._pictures.routes(),
            *self._set_up.routes(),
            Route("/{rest:path}", self._elsewhere, methods=["GET", "POST", "DELETE"]),
        ]
        return Starlette(routes=routes, lifespan=self._lifespan, exception_handlers={Refusal: self._refused})

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncGenerator[None]:
        yield
        self._webhooks.close()
        self._log.close()

    async def _elsewhere(self, request: Request) -> Response:
        raise Refusal(2500, message=f"Unknown path components: {request.url.path}", kind="GraphMethodException")

    async def _refused(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, Refusal)
        version = str(request.path_params.get("version", ""))
        return json_answer(error.body(), error.http_status, self._versions.headers(version) if version else None)


def _accounts(state: Path | None) -> Accounts:
    accounts = Accounts()
    if state is not None:
        path = state / "numbers.json"
        known: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
        for one in known:
            accounts.register(build(one))
        accounts.keep_in(path)
    return accounts
