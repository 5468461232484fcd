"""What people write to the accounts: built, signed and posted to the subscriber."""

from __future__ import annotations

import asyncio
import json
from typing import Any, cast

from chinwag.practice import payloads, threads
from chinwag.practice.accounts import Account, Accounts
from chinwag.practice.mangle import encode
from chinwag.practice.numbers import Number
from chinwag.practice.pages import Page
from chinwag.practice.people import People
from chinwag.practice.pictures import Pictures
from chinwag.practice.webhooks import Webhooks

Json = dict[str, Any]

#: Who writes by default.
SOMEBODY = {"whatsapp": "34600111222", "messenger": "2460011122200001", "instagram": "1760011122200001"}
_WHERE = ("phone_number_id", "account_id", "account")
_COMMON = {*_WHERE, "channel", "from", "timestamp", "raw", "wait_s"}
_CLOUD = _COMMON | {"bsuid", "text", "message", "name", "wamid"}


class Inbound:
    """Inbound messages from people."""

    def __init__(self, *, accounts: Accounts, people: People, webhooks: Webhooks, pictures: Pictures, stopping: asyncio.Event) -> None:
        self._accounts = accounts
        self._people = people
        self._webhooks = webhooks
        self._pictures = pictures
        self._stopping = stopping

    def find(self, given: Json) -> Account:
        """Return the account that a request is about: by its id, or by channel and name. Raises ValueError."""
        wanted = next((str(given[name]) for name in _WHERE if given.get(name)), "")
        channel = given.get("channel")
        found = self._accounts.get(wanted)
        if found is None:
            named = [one for one in self._accounts.all() if _last(self._webhooks.address(one)) == wanted and channel in (None, one.kind)]
            found = named[0] if named else None
        if found is None or not wanted or channel not in (None, found.kind):
            name = next((name for name in _WHERE if name in given), "phone_number_id")
            raise ValueError(f"{name} is not registered here")
        return found

    async def write(self, given: Json) -> Json:
        """Let a person write, and return what the business's webhook answered."""
        account = self.find(given)
        if "pictures" in given:
            given = self._pictures.said(account, given)
        if isinstance(account, Number):
            mid = str(given.get("wamid") or payloads.new_wamid())
            body, field = self._cloud(account, given, mid), "messages"
        else:
            mid = str(given.get("mid") or threads.new_mid(cast("Page", account)))
            body, field = self._thread(cast("Page", account), given, mid)
        delivery, task = self._webhooks.start(
            account, _raw(given["raw"]) if "raw" in given else body, kind="inbound", ids=[mid], field=field
        )
        stop = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({task, stop}, timeout=float(given.get("wait_s", 30)), return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        answer: Json = {"wamid": mid, "message_id": mid, "http_status": delivery.http_status, "attempts": delivery.attempts}
        answer["callback_url"] = delivery.url
        return answer if delivery.url else answer | {"why": f"Nobody is subscribed to {field} of this account: the message is lost."}

    async def person(self, given: Json) -> Json:
        """The same for a person who practises: everything but the account has a default."""
        account = self.find(given)
        words = (
            {}
            if {"text", "message", "postback", "attachments", "item", "pictures", "edit"} & set(given)
            else {"text": "Hello! What is 1+1?"}
        )
        return await self.write({"from": SOMEBODY[account.kind], **words, **given})

    def _cloud(self, number: Number, given: Json, wamid: str) -> bytes:
        _check_names(given, _CLOUD)
        if "raw" in given:
            return b""
        phone, bsuid = str(given.get("from") or ""), str(given.get("bsuid") or "")
        if not phone and not bsuid:
            raise ValueError("from or bsuid is needed")
        message = cast("Json", given.get("message") or {"type": "text", "text": {"body": str(given.get("text"))}})
        if "text" not in given and "message" not in given:
            raise ValueError("text or message is needed")
        if "id" in (context := cast("Json", message.get("context") or {})):
            # Whose message it is to is the platform's to say: nearly always one of the business.
            message = {**message, "context": {"from": number.display_phone_number, **context}}
        if message.get("group_id"):
            self._people.wrote(number, handle=str(message["group_id"]))
        self._people.wrote(number, handle=payloads.digits(phone), bsuid=bsuid)
        name = str(given.get("name") or "Practice Contact")
        timestamp = int(given["timestamp"]) if given.get("timestamp") is not None else None
        built = payloads.inbound(
            number, wamid=wamid, phone=phone, bsuid=bsuid, name=name, message=dict(cast("Json", message)), timestamp=timestamp
        )
        return encode(built)

    def _thread(self, page: Page, given: Json, mid: str) -> tuple[bytes, str]:
        if "raw" in given:
            return b"", "messages"
        person = str(given.get("from") or "")
        if not person:
            raise ValueError("from is needed")
        said = {name: value for name, value in given.items() if name not in _COMMON | {"mid"} or name == "timestamp"}
        body = threads.inbound(page, said, person=person, mid=mid)
        if given.get("by") != "human":
            self._people.wrote(page, handle=person)
        entry = body["entry"][0]
        return encode(body), "standby" if "standby" in entry else threads.field_of(page, entry["messaging"][0])


def _last(url: str) -> str:
    return url.rstrip("/").rsplit("/", 1)[-1]


def _check_names(given: Json, known: set[str]) -> None:
    if unknown := sorted(set(given) - known):
        raise ValueError(f"unknown: {', '.join(unknown)}; known: {', '.join(sorted(known))}")


def _raw(given: Any) -> bytes:
    return given.encode("utf-8", "surrogatepass") if isinstance(given, str) else json.dumps(given).encode()
