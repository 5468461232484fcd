"""The interface of every channel: all that webhooks, turns and sends need of a platform. Connecting accounts is in bots.admin.accounts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from bots.domain import ChannelKind, InboundEvent, MediaReference, OutboundMessage, Received, Sent


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """An account's decrypted secrets, for one call."""

    access_token: str = field(default="", repr=False)
    app_secret: str = field(default="", repr=False)
    #: Instagram has two hosts, one for each: page or login.
    login_type: str = "page"


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """Where to fetch a picture from the platform."""

    url: str = field(repr=False)
    #: The token that the request needs; empty where the address is enough.
    token: str = field(default="", repr=False)
    #: Of the file, as the platform gives it: hexadecimal or base64.
    sha256: str | None = None
    #: In bytes.
    size: int | None = None


class Channel(Protocol):
    """One platform: how its webhooks are checked and read, and how its messages are sent."""

    kind: ChannelKind
    #: How long the platform shows a typing indicator, in seconds.
    typing_s: float

    def verify(self, headers: Mapping[str, str], body: bytes, secrets: tuple[str, ...]) -> None:
        """Check the signature over the raw body. Raises Forged."""
        ...

    def parse(self, body: bytes) -> Received:
        """Read a webhook body. Total: any bytes give a result, nothing is raised or logged."""
        ...

    def render(self, markdown: str) -> tuple[str, ...]:
        """Turn a model's Markdown into the platform's dialect, in parts that the platform accepts."""
        ...

    def fit(self, text: str) -> tuple[str, ...]:
        """Split a text that somebody typed into parts that the platform accepts, each counting in its own unit; only control characters go."""
        ...

    def send(self, message: OutboundMessage, credentials: Credentials) -> Sent:
        """Send one part. Raises SendError, whose class says what is known for certain."""
        ...

    def show_typing(self, account_external_id: str, inbound: InboundEvent, credentials: Credentials) -> None:
        """Mark the contact's message as read and show typing: `inbound` has the message's key and the contact's identities.

        Raises SendError; callers may ignore it.
        """
        ...

    def ping(self, account_external_id: str, credentials: Credentials) -> None:
        """Read the account from the platform, to see whether it answers. Raises SendError."""
        ...

    def locate(self, account_external_id: str, media: MediaReference, credentials: Credentials, *, deadline_s: float) -> Location:
        """Return where to fetch a message's picture during the next minutes; deadline_s may shorten the usual one. Raises SendError, MediaError."""
        ...
