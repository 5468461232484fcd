"""The bodies that go out to an Instagram account's messages: a text, and a sender action."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bots.domain import Identity, IdentityKind, OutboundMessage
from bots.errors import Rejected

Json = dict[str, Any]


def text_message(message: OutboundMessage) -> Json:
    """Build the request of one text. Raises Rejected when the contact has no id of this account."""
    person = _person(message.identities)
    if person is None:
        raise Rejected("The contact has no id for this Instagram account.")
    return {"recipient": {"id": person}, "message": {"text": message.text}}


def sender_action(identities: Sequence[Identity], action: str) -> Json | None:
    """Build the request of a sender action; None for a contact without an id of this account."""
    person = _person(identities)
    return None if person is None else {"recipient": {"id": person}, "sender_action": action}


def _person(identities: Sequence[Identity]) -> str | None:
    return next((identity.value for identity in identities if identity.kind is IdentityKind.IGSID), None)
