"""The request bodies for an Instagram account's messages: a text."""

from __future__ import annotations

from typing import Any

from bots.channels.threads import person_of
from bots.domain import IdentityKind, OutboundMessage
from bots.errors import Rejected

Json = dict[str, Any]


def text_message(message: OutboundMessage) -> Json:
    """Build the request of one text. Raises Rejected when the contact has no id of this account."""
    person = person_of(message.identities, IdentityKind.IGSID)
    if person is None:
        raise Rejected("The contact has no id for this Instagram account.")
    return {"recipient": {"id": person}, "message": {"text": message.text}}
