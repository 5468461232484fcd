"""Messenger: the threads of a Facebook page, by its page token."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from bots.channels import markup
from bots.channels.base import Credentials, Location
from bots.channels.graph import PING_DEADLINE_S, GraphClient
from bots.channels.graph_codes import MESSENGER
from bots.channels.markup import PLAIN, clean, split
from bots.channels.messenger.items import read_item
from bots.channels.messenger.send import text_message
from bots.channels.signature import verify_meta
from bots.channels.threads import PageReader, sender_action
from bots.domain import ChannelKind, IdentityKind, InboundEvent, MediaReference, OutboundMessage, Received, Sent

__all__ = ["TEXT_LIMIT", "Messenger", "fit", "parse", "render"]

#: The platform says "under 2,000 characters".
TEXT_LIMIT = 1_999
_TYPING_S = 20.0
#: A late typing indicator is useless, since the answer is on its way by then.
_TYPING_DEADLINE_S = 5.0
_READER = PageReader("page", IdentityKind.PSID, read_item)


def parse(body: bytes) -> Received:
    """Read a Messenger webhook body; total."""
    return _READER.parse(body)


def fit(text: str) -> tuple[str, ...]:
    """Cut a text into parts of at most 1,999 characters."""
    return _cut(clean(text))


def render(markdown: str) -> tuple[str, ...]:
    """Turn Markdown into plain text, in parts that the platform accepts."""
    return markup.render(markdown, PLAIN, _cut)


def _cut(text: str) -> tuple[str, ...]:
    return split(text, TEXT_LIMIT, fences=False)


class Messenger:
    """The channel Messenger."""

    kind: ChannelKind = ChannelKind.MESSENGER
    typing_s: float = _TYPING_S

    def __init__(self, graph: GraphClient) -> None:
        self._graph = graph

    def verify(self, headers: Mapping[str, str], body: bytes, secrets: tuple[str, ...]) -> None:
        """Check Meta's signature over the raw body. Raises Forged."""
        verify_meta(headers, body, secrets)

    def parse(self, body: bytes) -> Received:
        """Read a webhook body; total."""
        return parse(body)

    def render(self, markdown: str) -> tuple[str, ...]:
        """Turn Markdown into plain text, in parts that the platform takes."""
        return render(markdown)

    def fit(self, text: str) -> tuple[str, ...]:
        """Cut a text into parts of at most 1,999 characters."""
        return fit(text)

    def send(self, message: OutboundMessage, credentials: Credentials) -> Sent:
        """Send one part. Raises SendError, whose class says what is provable."""
        return self._graph.send(
            message.account_external_id,
            text_message(message),
            token=credentials.access_token,
            app_secret=credentials.app_secret,
            errors=MESSENGER,
        )

    def show_typing(self, account_external_id: str, inbound: InboundEvent, credentials: Credentials) -> None:
        """Mark the thread as seen and show typing. Raises SendError."""
        # The platform accepts only one action per call.
        for action in ("mark_seen", "typing_on"):
            body = sender_action(inbound.identities, IdentityKind.PSID, action)
            if body is not None:
                self._graph.tell(
                    account_external_id,
                    body,
                    token=credentials.access_token,
                    app_secret=credentials.app_secret,
                    errors=MESSENGER,
                    deadline_s=_TYPING_DEADLINE_S,
                )

    def ping(self, account_external_id: str, credentials: Credentials) -> None:
        """Read the page from the platform, to see whether it answers. Raises SendError."""
        self._graph.call(
            "GET",
            quote(account_external_id, safe=""),
            token=credentials.access_token,
            app_secret=credentials.app_secret,
            errors=MESSENGER,
            deadline_s=PING_DEADLINE_S,
        )

    def locate(self, account_external_id: str, media: MediaReference, credentials: Credentials, *, deadline_s: float) -> Location:
        """Return the address that the webhook named; it opens without a token."""
        del account_external_id, credentials, deadline_s
        return Location(url=media.reference)
