"""The request bodies for a page's messages: a text with our tag."""

from __future__ import annotations

from typing import Any

from bots.channels.threads import person_of
from bots.domain import IdentityKind, OutboundMessage
from bots.errors import Rejected

Json = dict[str, Any]


def text_message(message: OutboundMessage) -> Json:
    """Build the request of one text. Raises Rejected when the contact has no id of this page."""
    person = person_of(message.identities, IdentityKind.PSID)
    if person is None:
        raise Rejected("The contact has no id for this page.")
    return {
        "recipient": {"id": person},
        "messaging_type": "RESPONSE",
        # The tag comes back in the echo of this message.
        "message": {"text": message.text, "metadata": str(message.id)},
    }
