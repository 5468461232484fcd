"""The channel of the chat page: a channel like any other, whose platform is the page itself. Nothing goes over a network."""

from __future__ import annotations

from collections.abc import Mapping

from bots.channels import markup
from bots.channels.base import Credentials, Location
from bots.channels.markup import PLAIN, clean, split
from bots.domain import ChannelKind, InboundEvent, MediaReference, OutboundMessage, Received, Sent
from bots.errors import Forged, MediaGone

TEXT_LIMIT = 4096


def fit(text: str) -> tuple[str, ...]:
    """Cut a text into parts of at most 4,096 characters."""
    return _cut(clean(text))


def render(markdown: str) -> tuple[str, ...]:
    """Turn Markdown into plain text, in parts that the platform accepts."""
    return markup.render(markdown, PLAIN, _cut)


def _cut(text: str) -> tuple[str, ...]:
    return split(text, TEXT_LIMIT, fences=False)


class Console:
    """The channel console."""

    kind: ChannelKind = ChannelKind.CONSOLE
    typing_s: float = 25.0

    def verify(self, headers: Mapping[str, str], body: bytes, secrets: tuple[str, ...]) -> None:
        """Refuse: the console has no webhooks. Raises Forged."""
        del headers, body, secrets
        raise Forged("The console has no webhooks.")

    def parse(self, body: bytes) -> Received:
        """Read nothing: the chat page builds its events itself."""
        del body
        return Received(reason="the console has no webhooks")

    def render(self, markdown: str) -> tuple[str, ...]:
        """Turn Markdown into plain text, in parts of at most 4,096 characters."""
        return render(markdown)

    def fit(self, text: str) -> tuple[str, ...]:
        """Cut a text into parts of at most 4,096 characters."""
        return fit(text)

    def send(self, message: OutboundMessage, credentials: Credentials) -> Sent:
        """Take the message: it is in the outbox, where the chat page reads it."""
        del credentials
        return Sent(external_id=f"console:{message.id}")

    def show_typing(self, account_external_id: str, inbound: InboundEvent, credentials: Credentials) -> None:
        """Do nothing: the chat page reads from Postgres whether an answer is being written."""
        del account_external_id, inbound, credentials

    def ping(self, account_external_id: str, credentials: Credentials) -> None:
        """Do nothing: the chat page is always there."""
        del account_external_id, credentials

    def locate(self, account_external_id: str, media: MediaReference, credentials: Credentials, *, deadline_s: float) -> Location:
        """Return nothing: the chat page stores a picture together with its message. Raises MediaGone."""
        del account_external_id, media, credentials, deadline_s
        raise MediaGone("The chat page's picture was not stored.")
