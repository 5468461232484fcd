"""Instagram: the threads of a professional account, through its Facebook page or by its own login."""

from __future__ import annotations

from collections.abc import Mapping

from bots.channels import markup
from bots.channels.base import Credentials, Location
from bots.channels.graph import PING_DEADLINE_S, GraphClient
from bots.channels.graph_codes import INSTAGRAM
from bots.channels.instagram.items import read_item
from bots.channels.instagram.send import text_message
from bots.channels.markup import PLAIN, clean, split_bytes
from bots.channels.signature import verify_meta
from bots.channels.threads import PageReader, sender_action
from bots.domain import ChannelKind, IdentityKind, InboundEvent, MediaReference, OutboundMessage, Received, Sent

__all__ = ["BYTES_LIMIT", "Instagram", "fit", "parse", "render"]

#: Of UTF-8, not of characters.
BYTES_LIMIT = 1_000
_TYPING_S = 20.0
#: A late typing indicator is useless, since the answer is on its way by then.
_TYPING_DEADLINE_S = 5.0
#: Both hosts recognise the account by its token; its id differs between them.
_SENDER = "me"
_READER = PageReader("instagram", IdentityKind.IGSID, read_item)


def parse(body: bytes) -> Received:
    """Read an Instagram webhook body; total."""
    return _READER.parse(body)


def fit(text: str) -> tuple[str, ...]:
    """Cut a text into parts of at most 1,000 bytes."""
    return _cut(clean(text))


def render(markdown: str) -> tuple[str, ...]:
    """Turn Markdown into plain text, in parts that the platform accepts."""
    return markup.render(markdown, PLAIN, _cut)


def _cut(text: str) -> tuple[str, ...]:
    return split_bytes(text, BYTES_LIMIT, fences=False)


class Instagram:
    """The channel Instagram, with one Graph client for each login type."""

    kind: ChannelKind = ChannelKind.INSTAGRAM
    typing_s: float = _TYPING_S

    def __init__(self, *, page: GraphClient, login: GraphClient) -> None:
        self._clients = {"page": page, "login": login}

    def verify(self, headers: Mapping[str, str], body: bytes, secrets: tuple[str, ...]) -> None:
        """Check Meta's signature over the raw body; with Instagram login the secret is the Instagram app's. Raises Forged."""
        verify_meta(headers, body, secrets)

    def parse(self, body: bytes) -> Received:
        """Read a webhook body; total."""
        return parse(body)

    def render(self, markdown: str) -> tuple[str, ...]:
        """Turn Markdown into plain text, in parts that the platform takes."""
        return render(markdown)

    def fit(self, text: str) -> tuple[str, ...]:
        """Cut a text into parts of at most 1,000 bytes."""
        return fit(text)

    def send(self, message: OutboundMessage, credentials: Credentials) -> Sent:
        """Send one part. Raises SendError, whose class says what is provable."""
        return self._clients[credentials.login_type].send(
            _SENDER, text_message(message), token=credentials.access_token, app_secret=credentials.app_secret, errors=INSTAGRAM
        )

    def show_typing(self, account_external_id: str, inbound: InboundEvent, credentials: Credentials) -> None:
        """Mark the thread as seen and show typing. Raises SendError."""
        del account_external_id
        # The platform accepts only one action per call.
        for action in ("mark_seen", "typing_on"):
            body = sender_action(inbound.identities, IdentityKind.IGSID, action)
            if body is not None:
                self._clients[credentials.login_type].tell(
                    _SENDER,
                    body,
                    token=credentials.access_token,
                    app_secret=credentials.app_secret,
                    errors=INSTAGRAM,
                    deadline_s=_TYPING_DEADLINE_S,
                )

    def ping(self, account_external_id: str, credentials: Credentials) -> None:
        """Read the account from the platform, to see whether it answers. Raises SendError."""
        del account_external_id
        self._clients[credentials.login_type].call(
            "GET",
            _SENDER,
            token=credentials.access_token,
            app_secret=credentials.app_secret,
            errors=INSTAGRAM,
            deadline_s=PING_DEADLINE_S,
        )

    def locate(self, account_external_id: str, media: MediaReference, credentials: Credentials, *, deadline_s: float) -> Location:
        """Return the address that the webhook named; it opens without a token."""
        del account_external_id, credentials, deadline_s
        return Location(url=media.reference)
