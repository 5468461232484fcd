"""WhatsApp by Meta's Cloud API: signed webhooks in, texts out."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from bots.channels import markup
from bots.channels.base import Credentials, Location
from bots.channels.graph import PING_DEADLINE_S, GraphClient
from bots.channels.graph_codes import GRAPH, WHATSAPP
from bots.channels.signature import verify_meta
from bots.channels.whatsapp.envelope import parse
from bots.channels.whatsapp.media import location_of
from bots.channels.whatsapp.messages import DERIVED
from bots.channels.whatsapp.send import text_message, typing
from bots.domain import ChannelKind, IdentityKind, InboundEvent, MediaReference, OutboundMessage, Received, Sent

__all__ = ["TEXT_LIMIT", "WhatsApp", "fit", "parse", "render"]

TEXT_LIMIT = 4096
#: A late typing indicator is useless, since the answer is on its way by then.
_TYPING_DEADLINE_S = 5.0
#: Of a picture that is asked for, this code means the picture; of a send it means the number.
_OF_PICTURES = {**WHATSAPP, (100, 33): GRAPH[100]}


def fit(text: str) -> tuple[str, ...]:
    """Cut a text into parts of at most 4,096 characters."""
    return _cut(markup.clean(text))


def render(markdown: str) -> tuple[str, ...]:
    """Turn Markdown into WhatsApp's dialect, in parts that the platform accepts."""
    return markup.render(markdown, markup.WHATSAPP, _cut)


def _cut(text: str) -> tuple[str, ...]:
    return markup.split(text, TEXT_LIMIT)


class WhatsApp:
    """The channel WhatsApp."""

    kind: ChannelKind = ChannelKind.WHATSAPP
    typing_s: float = 25.0

    def __init__(self, graph: GraphClient) -> None:
        self._graph = graph

    def verify(self, headers: Mapping[str, str], body: bytes, secrets: tuple[str, ...]) -> None:
        """Check Meta's signature over the raw body. Raises Forged."""
        verify_meta(headers, body, secrets)

    def parse(self, body: bytes) -> Received:
        """Read a webhook body; total."""
        return parse(body)

    def render(self, markdown: str) -> tuple[str, ...]:
        """Turn Markdown into WhatsApp's dialect, in parts of at most 4,096 characters."""
        return render(markdown)

    def fit(self, text: str) -> tuple[str, ...]:
        """Cut a text into parts of at most 4,096 characters."""
        return fit(text)

    def send(self, message: OutboundMessage, credentials: Credentials) -> Sent:
        """Send one part. Raises SendError, whose class says what is provable."""
        return self._graph.send(message.account_external_id, text_message(message), token=credentials.access_token, errors=WHATSAPP)

    def show_typing(self, account_external_id: str, inbound: InboundEvent, credentials: Credentials) -> None:
        """Mark a message, and with it all earlier ones, as read and show typing. Raises SendError."""
        # A reaction is no message, and groups have no read mark.
        if inbound.event_key.startswith((DERIVED, "reaction:")) or any(one.kind is IdentityKind.GROUP for one in inbound.identities):
            return
        self._graph.tell(
            account_external_id, typing(inbound.event_key), token=credentials.access_token, errors=WHATSAPP, deadline_s=_TYPING_DEADLINE_S
        )

    def ping(self, account_external_id: str, credentials: Credentials) -> None:
        """Read the number from the platform, to see whether it answers. Raises SendError."""
        self._graph.call("GET", quote(account_external_id, safe=""), token=credentials.access_token, deadline_s=PING_DEADLINE_S)

    def locate(self, account_external_id: str, media: MediaReference, credentials: Credentials, *, deadline_s: float) -> Location:
        """Ask for the address of a picture; it works with the account's token, for five minutes. Raises SendError, MediaError."""
        # With the number, the platform refuses ids that belong to another one.
        path = f"{quote(media.reference, safe='')}?phone_number_id={quote(account_external_id, safe='')}"
        answer = self._graph.call("GET", path, token=credentials.access_token, errors=_OF_PICTURES, deadline_s=deadline_s)
        return location_of(answer.body, credentials.access_token)
