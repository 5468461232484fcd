"""The nouns of the service as frozen values. Standard library only; nothing here does I/O or asks the clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class ChannelKind(StrEnum):
    """A messaging platform, or the console that the chat page speaks over."""

    WHATSAPP = "whatsapp"
    MESSENGER = "messenger"
    INSTAGRAM = "instagram"
    CONSOLE = "console"


class Role(StrEnum):
    """What an operator may do; each role includes those before it."""

    #: Reads everything.
    VIEWER = "viewer"
    #: Takes conversations over and answers; settles what wants attention.
    AGENT = "agent"
    #: Connects accounts, edits bots, runs batches.
    OPERATOR = "operator"
    #: Manages operators and tokens; removes accounts with erasure.
    OWNER = "owner"

    def includes(self, other: Role) -> bool:
        """Whether this role may do what the other may."""
        ladder = list(Role)
        return ladder.index(self) >= ladder.index(other)


class IdentityKind(StrEnum):
    """What kind of handle a platform gives for a person."""

    BSUID = "bsuid"
    PHONE = "phone"
    #: Messenger: a person's id for one page.
    PSID = "psid"
    #: Instagram: a person's id for one account.
    IGSID = "igsid"
    CONSOLE = "console"


class EventKind(StrEnum):
    """What one item of a webhook is."""

    MESSAGE = "message"
    STATUS = "status"
    REACTION = "reaction"
    EDIT = "edit"
    REVOKE = "revoke"
    #: A message that left the account: our own, or one that a person typed into the platform's inbox.
    ECHO = "echo"
    #: Meant for another app that owns the thread now: stored, not answered.
    STANDBY = "standby"
    SYSTEM = "system"
    UNKNOWN = "unknown"
    NONE = "none"


class DeliveryStatus(StrEnum):
    """The ladder of an outbound message. It is climbed, never descended: statuses may come late, twice and in any order."""

    QUEUED = "queued"
    SENDING = "sending"
    UNKNOWN = "unknown"
    ACCEPTED = "accepted"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"


class Outcome(StrEnum):
    """What is provable about one send attempt."""

    ACCEPTED = "accepted"
    NOT_SENT = "not_sent"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


class Retry(StrEnum):
    """What a failed send asks for."""

    LATER = "later"
    NEVER = "never"
    ASK_OPERATOR = "ask_operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """One handle of a contact on a platform."""

    kind: IdentityKind
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusUpdate:
    """The platform's word on one of our messages."""

    #: Empty for a watermark.
    external_id: str
    status: DeliveryStatus
    #: Our outbound message id, as the platform handed it back.
    correlation: str | None = None
    error_code: int | None = None
    #: Everything that was taken up to this time has this status (Messenger's deliveries and reads).
    watermark: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaReference:
    """A picture that a message carries, as the platform names it."""

    #: image, or the platform's word for what is shown as one (sticker)
    kind: str
    #: WhatsApp: the media id; Messenger and Instagram: the address on their servers.
    reference: str
    media_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundEvent:
    """One item of a webhook, understood as far as possible."""

    kind: EventKind
    #: Unique within the account; a second delivery has the same key.
    event_key: str
    #: The account's id on the platform (WhatsApp: phone_number_id); None where the item carries none.
    account_external_id: str | None = None
    identities: tuple[Identity, ...] = ()
    #: What the person calls themself: untrusted, for display.
    contact_name: str | None = None
    text: str | None = None
    #: The platform's own word for the kind of content: text, image, button ...
    content_type: str = "text"
    occurred_at: datetime | None = None
    #: Whether the content can be answered by the model; False is stored, shown and answered politely.
    supported: bool = True
    #: A button or a command: answer without waiting for more.
    reply_at_once: bool = False
    status: StatusUpdate | None = None
    media: tuple[MediaReference, ...] = ()
    #: Why an item was not understood.
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """All that one webhook body held."""

    events: tuple[InboundEvent, ...] = ()
    #: Set when the body as a whole could not be read.
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundMessage:
    """One part of an answer, on its way to a contact."""

    #: Also the correlation that the platform hands back with each status.
    id: UUID
    account_external_id: str
    identities: tuple[Identity, ...]
    text: str
    part: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The platform took a message."""

    external_id: str
    http_status: int = 200
    trace_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A secret at rest. It opens only for the row it was sealed for."""

    token: bytes = field(repr=False)

    def __repr__(self) -> str:
        return "Sealed(***)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A connection of one bot to one platform."""

    id: UUID
    tenant_id: UUID
    bot_id: UUID
    channel: ChannelKind
    name: str
    external_id: str
    #: active, paused or needs_attention
    state: str = "active"
    state_reason: str | None = None
    #: Newest first; two during a rotation. With none, every webhook is refused.
    app_secrets: tuple[Sealed, ...] = ()
    verify_token: Sealed | None = None
    access_token: Sealed | None = None
    #: How Instagram is reached: page (graph.facebook.com, the page's token) or login (graph.instagram.com).
    login_type: str = "page"
    #: WhatsApp: the business account (WABA); Instagram through a page: the page.
    parent_id: str | None = None
    app_id: str | None = None
    #: Which version of the persona answers here; None: the published one.
    persona_version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bot:
    """Who answers: a persona and how it is run."""

    id: UUID
    tenant_id: UUID
    name: str
    profile: str = "default"
    persona: str = ""
    persona_version: int = 1
    fallback_text: str = "Sorry, I cannot answer that right now. Please try again in other words."
    apology_text: str | None = None
    memory_on: bool = True
    #: BCP 47 code that the bot's own sentences use where the contact's language is not known; None: English.
    language: str | None = None
    #: Sent before the first answer that a contact ever gets, for instance that an assistant writes here.
    first_contact: str | None = None
    #: Whether its conversations may go to an endpoint outside the house.
    data_may_leave: bool = False
    #: What it may spend on one contact a day, and in a month in all, in USD; None: as much as it takes.
    budget_contact_day: float | None = None
    budget_month: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One plain statement that a contact made about themself."""

    #: name, place, language, likes, dislikes, occupation, family, pet
    kind: str
    value: str
    #: A kind of which only one holds at a time; a newer value supersedes.
    single: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """A remembered fact with the message it came from."""

    id: UUID
    kind: str
    text: str
    source_inbox_id: UUID
    created_at: datetime
