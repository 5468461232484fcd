"""Pictures, recordings and files that people send here: named by an id or an address in a webhook, and served as the platforms do.

WhatsApp: GET /vNN.0/{media-id} returns an address that is valid for five minutes and needs the account's token.
Messenger and Instagram: the address in the webhook needs no token, and is valid for a day. Nothing survives a restart.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from chinwag.practice.accounts import Account, Accounts
from chinwag.practice.answers import HangUp, Silence
from chinwag.practice.calls import Versions, bearer, json_answer, unknown_object
from chinwag.practice.log import Log
from chinwag.practice.numbers import Number
from chinwag.practice.refusals import Refusal
from chinwag.practice.script import Fault, Script

Json = dict[str, Any]

#: What a person can send, and what Messenger and Instagram call it. A voice note is recorded in the chat.
_ON_PAGES = {"image": "image", "voice": "audio", "audio": "audio", "video": "video", "document": "file", "sticker": "image"}
#: On WhatsApp nothing can be written beside these.
_WITHOUT_CAPTION = frozenset({"audio", "sticker"})
_MOST_KEPT = 200
_LARGEST_BYTES = 64 * 1024 * 1024
_NUMBER_LIVES_S = 300
_PAGE_LIVES_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    id: str
    account_id: str
    media_type: str
    kind: str = "image"
    filename: str = ""
    data: bytes = field(repr=False)

    @property
    def sha256(self) -> bytes:
        return hashlib.sha256(self.data).digest()


class Pictures:
    """The stored pictures, and the endpoints that serve them."""

    def __init__(self, *, accounts: Accounts, log: Log, script: Script, versions: Versions, stopping: asyncio.Event, address: str) -> None:
        self._accounts, self._log, self._script, self._versions = accounts, log, script, versions
        self._stopping = stopping
        self._address = address
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._key = secrets.token_bytes(32)

    def routes(self) -> list[Route]:
        """Return the routes of the picture servers."""
        return [
            Route("/lookaside/whatsapp_business/attachments", self._of_number, methods=["GET"]),
            Route("/cdn/{name}", self._of_page, methods=["GET"]),
        ]

    def said(self, account: Account, given: Json) -> Json:
        """Store the pictures of a message that a person is to write, and return it as the platform's webhooks contain it. Raises ValueError."""
        pictures: Any = given.get("pictures")
        if not isinstance(pictures, list) or not pictures:
            raise ValueError("pictures has to be a list of {data, media_type}")
        kept = [self._keep(account, one) for one in cast("list[Any]", pictures)]
        said = {name: value for name, value in given.items() if name != "pictures"}
        if not isinstance(account, Number):
            found = [{"type": _ON_PAGES[one.kind], "payload": {"url": self._page_url(one)}} for one in kept]
            return said | {"attachments": found}
        if len(kept) != 1:
            raise ValueError("a WhatsApp message holds one picture")
        (one,) = kept
        named = "audio" if one.kind == "voice" else one.kind
        content: Json = {"id": one.id, "mime_type": one.media_type, "sha256": base64.b64encode(one.sha256).decode()}
        if one.kind == "voice":
            content["voice"] = True
        if one.filename and named == "document":
            content["filename"] = one.filename
        if (caption := said.pop("text", None)) and named not in _WITHOUT_CAPTION:
            content["caption"] = caption
        return said | {"message": {"type": named, named: content}}

    def _keep(self, account: Account, given: Any) -> _Kept:
        fields = cast("Json", given) if isinstance(given, dict) else {}
        data = base64.b64decode(str(fields.get("data") or ""), validate=True)
        if not 0 < len(data) <= _LARGEST_BYTES:
            raise ValueError("a picture needs data, in base64")
        kind = str(fields.get("kind") or "image")
        if kind not in _ON_PAGES:
            raise ValueError(f"kind has to be one of {', '.join(_ON_PAGES)}")
        one = _Kept(
            id=f"98{secrets.randbelow(10**14):014d}",
            account_id=account.id,
            media_type=str(fields.get("media_type") or "image/jpeg"),
            kind=kind,
            filename=str(fields.get("filename") or ""),
            data=data,
        )
        self._kept[one.id] = one
        while len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)
        return one

    def holds(self, object_id: str) -> bool:
        """Whether an object of the Graph API is a picture."""
        return object_id in self._kept

    async def tell(self, request: Request) -> Response:
        """Return a picture's address to the number that it was sent to."""
        media_id = str(request.path_params["object_id"])
        version = self._versions.served(str(request.path_params["version"]), media_id)
        opened = self._accounts.opened(bearer(request))
        one = self._kept[media_id]
        asked_for = request.query_params.get("phone_number_id", one.account_id)
        if one.account_id not in {account.id for account in opened} or asked_for != one.account_id:
            raise unknown_object(media_id, "get")
        treated = await self._treated(one, "find")
        if treated is not None:
            return treated
        ends = int(time.time()) + _NUMBER_LIVES_S
        query = urlencode({"mid": one.id, "ext": ends, "hash": self._seal(one.id, ends)})
        told: Json = {"messaging_product": "whatsapp", "id": one.id, "mime_type": one.media_type, "sha256": one.sha256.hex()}
        told |= {"url": f"{self._address}/lookaside/whatsapp_business/attachments?{query}", "file_size": str(len(one.data))}
        return json_answer(told, 200, {"facebook-api-version": version})

    async def _of_number(self, request: Request) -> Response:
        """Serve a WhatsApp picture: only with the account's token, while the address is valid."""
        one = self._sealed(request.query_params.get("mid", ""), request.query_params.get("ext", ""), request.query_params.get("hash", ""))
        try:
            ids = {account.id for account in self._accounts.opened(bearer(request))}
        except Refusal:
            ids = set[str]()
        if one is not None and one.account_id not in ids:
            self._record(one, "fetch", "refused")
            return Response("", 401)
        return await self._hand_over(one, 404)

    async def _of_page(self, request: Request) -> Response:
        """Serve a picture of Messenger or Instagram, while the address is valid."""
        media_id = str(request.path_params["name"]).removesuffix(".jpg")
        ends = request.query_params.get("oe", "")
        one = self._sealed(media_id, str(int(ends, 16)) if _is_hex(ends) else "", request.query_params.get("oh", ""))
        return await self._hand_over(one, 403)

    async def _hand_over(self, one: _Kept | None, status: int) -> Response:
        if one is None:
            return Response("URL signature mismatch" if status == 403 else "", status, media_type="text/plain")
        treated = await self._treated(one, "fetch")
        if treated is not None:
            return treated
        return Response(one.data, 200, media_type=one.media_type)

    async def _treated(self, one: _Kept, step: str) -> Response | None:
        """Return the fault that is scripted for this request, or None."""
        fault = self._script.take(self._facts(one, step))
        self._record(one, step, "accepted" if fault is None or fault.name in {"ok", "latency"} else "refused", fault)
        if fault is None:
            return None
        await asyncio.sleep((fault.latency_ms or 0) / 1000)
        return self._gone_wrong(fault, one)

    def _gone_wrong(self, fault: Fault, one: _Kept) -> Response | None:
        if fault.name in ("refuse", "http"):
            refusal = Refusal(fault.code or 1, http_status=fault.http_status, subcode=fault.subcode)
            return json_answer(refusal.body(), refusal.http_status)
        if fault.name == "redirect":
            return RedirectResponse(fault.location, 302)
        if fault.name == "hang":
            return Silence(self._stopping)
        if fault.name in ("close", "truncated_200"):
            return HangUp(half=fault.name == "truncated_200")
        return Response("<!doctype html><p>It works!", 200, media_type=one.media_type) if fault.name == "garbage_200" else None

    def _facts(self, one: _Kept, step: str) -> Json:
        account = self._accounts.get(one.account_id)
        return {"kind": "picture", "type": step, "channel": account.kind if account else None, "account_id": one.account_id}

    def _record(self, one: _Kept, step: str, outcome: str, fault: Fault | None = None) -> None:
        self._log.add(**self._facts(one, step), media_id=one.id, outcome=outcome, fault=fault.name if fault is not None else None)

    def _page_url(self, one: _Kept) -> str:
        ends = int(time.time()) + _PAGE_LIVES_S
        return f"{self._address}/cdn/{one.id}.jpg?" + urlencode({"oe": f"{ends:X}", "oh": self._seal(one.id, ends)})

    def _seal(self, media_id: str, ends: int) -> str:
        return hmac.new(self._key, f"{media_id}:{ends}".encode(), hashlib.sha256).hexdigest()[:40]

    def _sealed(self, media_id: str, ends: str, seal: str) -> _Kept | None:
        if not ends.isdecimal() or len(ends) > 12 or int(ends) < time.time():
            return None
        is_ours = hmac.compare_digest(self._seal(media_id, int(ends)).encode(), seal.encode("utf-8", "surrogateescape"))
        return self._kept.get(media_id) if is_ours else None


def _is_hex(text: str) -> bool:
    return 0 < len(text) <= 10 and all(letter in "0123456789abcdefABCDEF" for letter in text)
