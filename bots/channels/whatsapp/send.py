"""The request bodies for the Cloud API: a text, and the read mark with typing."""

from __future__ import annotations

from typing import Any

from bots.domain import Identity, IdentityKind, OutboundMessage
from bots.errors import Rejected

Json = dict[str, Any]


def text_message(message: OutboundMessage) -> Json:
    """Build the request of one text. Raises Rejected when the contact has no identity on this platform."""
    return {
        "messaging_product": "whatsapp",
        **_recipient(message.identities),
        "type": "text",
        "text": {"body": message.text, "preview_url": False},
        "biz_opaque_callback_data": str(message.id),
    }


def typing(message_id: str) -> Json:
    """Build the request that marks a message as read and shows typing for 25 s."""
    return {"messaging_product": "whatsapp", "status": "read", "message_id": message_id, "typing_indicator": {"type": "text"}}


def _recipient(identities: tuple[Identity, ...]) -> Json:
    group = next((identity.value for identity in identities if identity.kind is IdentityKind.GROUP), None)
    if group is not None:
        return {"recipient_type": "group", "to": group}
    phone = next((identity.value for identity in identities if identity.kind is IdentityKind.PHONE), None)
    bsuid = next((identity.value for identity in identities if identity.kind is IdentityKind.BSUID), None)
    found: Json = {"recipient_type": "individual"}
    if phone:
        # Without the plus sign the platform would add the business's own country code.
        found["to"] = "+" + phone.removeprefix("+")
    if bsuid:
        found["recipient"] = bsuid
    if not phone and not bsuid:
        raise Rejected("The contact has neither a phone number nor a business-scoped id.")
    return found
