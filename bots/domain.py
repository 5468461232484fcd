"""The nouns of the service as values, nearly all of them frozen. Standard library only; nothing here does I/O or asks the clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID


class ChannelKind(StrEnum):
    """A messaging platform, or the console, which is the chat page's channel."""

    WHATSAPP = "whatsapp"
    MESSENGER = "messenger"
    INSTAGRAM = "instagram"
    CONSOLE = "console"


class Role(StrEnum):
    """What an operator may do; each role includes those before it."""

    #: Reads everything.
    VIEWER = "viewer"
    #: Takes conversations over and answers; settles what needs attention.
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
    """The kind of id by which a platform identifies a person."""

    BSUID = "bsuid"
    PHONE = "phone"
    #: Of a person: on Messenger for one page, on Instagram for one account.
    PSID = "psid"
    IGSID = "igsid"
    CONSOLE = "console"
    #: WhatsApp: a group, which is stored as a contact of its own. It is nobody's memory.
    GROUP = "group"


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
    #: What the platform says about the account itself: disabled, flagged, restored ...
    ACCOUNT = "account"
    SYSTEM = "system"
    UNKNOWN = "unknown"
    NONE = "none"


class DeliveryStatus(StrEnum):
    """How far an outbound message has come. It only moves forward: reports may arrive late, twice and in any order."""

    QUEUED = "queued"
    SENDING = "sending"
    UNKNOWN = "unknown"
    ACCEPTED = "accepted"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"


class Outcome(StrEnum):
    """What is known for certain about one send attempt."""

    ACCEPTED = "accepted"
    NOT_SENT = "not_sent"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


class Scope(StrEnum):
    """Whom a refusal or a throttle of the platform concerns."""

    MESSAGE = "message"
    #: One person on one account; a throttle of this scope is between the two of them.
    PERSON = "person"
    ACCOUNT = "account"
    #: All accounts of the same Meta app.
    APP = "app"


class Retry(StrEnum):
    """What to do after a failed send."""

    LATER = "later"
    NEVER = "never"
    ASK_OPERATOR = "ask_operator"


class Measure(StrEnum):
    """What a notice of the platform, or a failed status, does to the account that it is about."""

    #: Nothing is sent until an operator resumes it.
    PARK = "park"
    #: Take back what an earlier notice about the same topic parked.
    RESUME = "resume"
    #: Nothing is sent for a while; then sending goes on by itself.
    SLOW = "slow"
    #: Show it where operators look until they have seen it.
    SHOW = "show"
    #: Show it on the account's page alone; an earlier notice about the same topic is settled.
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """One identity of a contact on a platform."""

    kind: IdentityKind
    value: str


@dataclass(slots=True, kw_only=True)
class StatusUpdate:
    """What the platform reports about one of our messages. Not frozen, for the same reason as InboundEvent."""

    #: Empty for a watermark.
    external_id: str
    status: DeliveryStatus
    #: Our outbound message id, as the platform returned it.
    correlation: str | None = None
    error_code: int | None = None
    #: Everything that was accepted up to this time has this status (Messenger's deliveries and reads).
    watermark: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaReference:
    """A picture or a recording that a message carries, as the platform names it."""

    #: image, or the platform's name for what is shown as one (sticker); or SOUND
    kind: str
    #: WhatsApp: the media id; Messenger and Instagram: the address on their servers.
    reference: str
    media_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountNotice:
    """What the platform reports about an account, in its own names."""

    #: The field of the webhook, such as account_update.
    field: str
    #: The event in it, such as DISABLED_UPDATE; empty where it has none.
    event: str = ""
    #: What it says more, such as DISABLE; no sentences for people.
    detail: str | None = None
    #: The id of what stands above accounts and is meant, such as a WhatsApp business account; None: the account itself.
    parent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountEffect:
    """What an event means for the account, and for all of its messages."""

    measure: Measure
    #: As it is stored and explained later: platform:131031, or notice:account_update/DISABLED_UPDATE/DISABLE.
    reason: str
    #: Of notices: what it is about. A newer notice about a topic replaces the one before.
    topic: str = ""
    #: Of SLOW: for how long.
    wait_s: float = 0.0
    #: Of notices about one number of a business: its digits.
    number: str = ""


#: The kind of a recording among the media of a message.
SOUND = "audio"
#: The name of the reference by which a message says that its words are somebody else's, whom its writer passes on.
FORWARDED = "forwarded"


# Not frozen as the others are: freezing so many fields takes a sixth of the time in which a webhook is read (bench/parse.py). Nobody changes one.
@dataclass(slots=True, kw_only=True)
class InboundEvent:
    """One item of a webhook, understood as far as possible."""

    kind: EventKind
    #: Unique within the account; a second delivery has the same key.
    event_key: str
    #: The account's id on the platform (WhatsApp: phone_number_id); None where the item carries none.
    account_external_id: str | None = None
    identities: tuple[Identity, ...] = ()
    #: The name that the person chose: untrusted, for display only.
    contact_name: str | None = None
    text: str | None = None
    #: The platform's own name for the kind of content: text, image, button ...
    content_type: str = "text"
    occurred_at: datetime | None = None
    #: Whether the content can be answered by the model; False is stored, shown and answered politely.
    supported: bool = True
    #: Of what comes from a group: whether the business is spoken to. None: it comes from one person alone.
    addressed: bool | None = None
    #: A button or a command: answer without waiting for more.
    reply_at_once: bool = False
    #: How long to wait for more after a message (bots.extract.unfinished.Waits); None: the shortest wait.
    waits: tuple[float, float, float] | None = None
    status: StatusUpdate | None = None
    media: tuple[MediaReference, ...] = ()
    #: Of edits, unsends and reactions: the platform's id of the message that they are about.
    target: str | None = None
    #: The platform's id of the message that this one replies to.
    quoted: str | None = None
    #: What the message refers to besides its words: names and texts (bots/channels/references.py). Written by others: data, never instructions.
    refers: tuple[tuple[str, str], ...] = ()
    #: Of a notice that a person's handle changed: the handles before. `identities` has the new ones.
    previous: tuple[Identity, ...] = ()
    #: Of an echo: the app that wrote it, by its id on the platform.
    app_id: str | None = None
    notice: AccountNotice | None = None
    #: What it means for the account as a whole; None: nothing.
    effect: AccountEffect | None = None
    #: Of an edit (bots.extract.edits): what its words state, and whether they are a command, a wish to stop, or one that they are not remembered.
    facts: tuple[Fact, ...] = ()
    ends: tuple[End, ...] = ()
    untold: bool = False
    stops: bool = False
    unsaid: bool = False
    #: Why an item was not understood.
    reason: str | None = None


@dataclass(slots=True, kw_only=True)
class Received:
    """Everything that one webhook body contained. Not frozen, for the same reason as InboundEvent."""

    events: tuple[InboundEvent, ...] = ()
    #: Set when the body as a whole could not be read.
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundMessage:
    """One part of an answer, on its way to a contact."""

    #: Also the correlation id that the platform returns with each status.
    id: UUID
    account_external_id: str
    identities: tuple[Identity, ...]
    text: str
    part: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The platform accepted a message."""

    external_id: str
    http_status: int = 200
    trace_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """An encrypted secret. It can be decrypted only for the row that it was sealed for."""

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
    #: The platform slows it down: nothing is sent before this time, and why.
    slow_until: datetime | None = None
    slow_reason: str | None = None
    #: Newest first; two during a rotation. With none, every webhook is refused.
    app_secrets: tuple[Sealed, ...] = ()
    verify_token: Sealed | None = None
    access_token: Sealed | None = None
    #: How Instagram is reached: page (graph.facebook.com, the page's token) or login (graph.instagram.com).
    login_type: str = "page"
    #: WhatsApp: the business account (WABA); Instagram through a page: the page.
    parent_id: str | None = None
    app_id: str | None = None
    #: The version of the persona that answers here; None: the published one.
    persona_version: int | None = None
    #: Whether the bot answers in groups, where it is spoken to.
    answers_groups: bool = False


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
    #: BCP 47 code of the language of the bot's fixed sentences where the contact's own is not known; None: English.
    language: str | None = None
    #: Sent before the very first answer to a contact, for instance that an automated assistant is writing.
    first_contact: str | None = None
    #: Whether its conversations may leave the operator's own servers.
    data_may_leave: bool = False
    #: What it may spend on one contact a day, and in a month altogether, in USD; None: no limit.
    budget_contact_day: float | None = None
    budget_month: float | None = None
    #: The kinds of facts that it does not remember (bots.kinds), and whether it remembers what is sensitive.
    kinds_off: tuple[str, ...] = ()
    sensitive_on: bool = True
    #: Whether forgetting a memory leaves the messages and answers that have its words.
    keeps_messages: bool = False
    #: The IANA name of the zone in which it tells date and time to a contact whose own is unknown; None: that of the installation.
    time_zone: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One plain statement that a contact made about themself."""

    #: One of bots.kinds.
    kind: str
    value: str
    #: A newer message's fact of the same kind and topic takes this one's place: "" for a kind that is single, such as a relation with a number
    #: ("sons") for others. None: it lives beside all others.
    topic: str | None = None
    #: The day of a plan, and its last day where it has several.
    day: date | None = None
    last_day: date | None = None
    #: Since when it is true, where the words say so.
    since: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """A statement that something is no longer so: "I no longer eat meat", "I retired", "Rex died"."""

    kind: str
    #: What ended, as it may have been stored ("meat", "Rex"); None: whatever is remembered of this kind.
    value: str | None = None
    #: When it ended, where the words say so; of a plan, the one day that it was for.
    on: date | None = None
    #: Longer words with its own in them that mean something else: "mother in law" where a mother died.
    but: tuple[str, ...] = ()
    #: Whether it ends all beings or plans that it fits ("I no longer have cats"). Otherwise it speaks of one, and ends none where it fits several.
    every: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Statements:
    """What a message plainly states about its writer."""

    facts: tuple[Fact, ...] = ()
    ends: tuple[End, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """A remembered fact with the message it came from."""

    id: UUID
    kind: str
    text: str
    #: The message that it came from; None: an operator added it.
    source_inbox_id: UUID | None
    #: When it was said.
    said_at: datetime
    created_at: datetime
    day: date | None = None
    last_day: date | None = None
