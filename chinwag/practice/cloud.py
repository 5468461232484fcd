"""How WhatsApp's Cloud API processes what is sent."""

from __future__ import annotations

from typing import Any, cast

from chinwag.practice import payloads, rules
from chinwag.practice.numbers import Number
from chinwag.practice.people import People
from chinwag.practice.speech import Taken

Json = dict[str, Any]


class Cloud:
    """The behaviour of the Cloud API."""

    def __init__(self, people: People) -> None:
        self._people = people

    def check(self, number: Number, body: Any) -> str:
        """Check a request and the rules on writing to this person; return its kind. Raises Refusal."""
        kind = rules.check(body)
        if kind == "message":
            to = str(body.get("to") or "")
            self._people.admit(number, to if _is_group(body) else payloads.digits(to) or body["recipient"])
        return kind

    def facts(self, _number: Number | None, sender: str, body: Json, kind: str) -> Json:
        """Return the fields of a request for the log and the script."""
        text = body.get("text")
        facts: Json = {
            "kind": kind,
            "channel": "whatsapp",
            "account_id": sender,
            "phone_number_id": sender,
            "to": body.get("to"),
            "recipient": body.get("recipient"),
            "type": body.get("type", "text") if kind == "message" else None,
            "text": cast("Json", text).get("body") if isinstance(text, dict) else None,
            "correlation": body.get("biz_opaque_callback_data"),
        }
        if _is_group(body):
            facts["group"] = True
        if "message_id" in body:
            facts["message_id"] = body["message_id"]
        return facts

    def accept(self, _number: Number, facts: Json, _body: Json) -> Taken:
        """Accept a message; nothing is sent yet."""
        wamid = payloads.new_wamid()
        group = facts["to"] if facts.get("group") else ""
        phone = "" if group else payloads.digits(facts["to"] or "")
        bsuid = (facts["recipient"] if not phone else None) or self._people.bsuid_of(phone)
        contact = {"input": facts["to"] or facts["recipient"]}
        if group:
            contact["group_id"] = group
        if phone:
            contact["wa_id"] = phone
        if bsuid:
            contact["user_id"] = bsuid

        def report(name: str, code: int | None) -> Json:
            item = payloads.status(name, wamid=wamid, phone=phone or group, bsuid=bsuid, correlation=facts["correlation"], code=code)
            return item | {"recipient_type": "group"} if group else item

        answer = {"messaging_product": "whatsapp", "contacts": [contact], "messages": [{"id": wamid}]}
        return Taken(external_id=wamid, answer=answer, report=report)

    def done(self, _facts: Json) -> Json:
        """Return the answer to a read mark."""
        return {"success": True}


def _is_group(body: Json) -> bool:
    return body.get("recipient_type") == "group"
