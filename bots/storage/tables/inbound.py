"""What came in: envelopes, inbox, keys, statuses."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from bots.storage.tables.base import metadata

envelopes = Table(
    "envelopes",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("id", Uuid, nullable=False),
    Column("account_id", Uuid, nullable=False),
    Column("body", LargeBinary),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("received_at", DateTime(timezone=True), nullable=False),
    PrimaryKeyConstraint("id", "tenant_id", name="pk_envelopes"),
    ForeignKeyConstraint(
        ["tenant_id", "account_id"], ["accounts.tenant_id", "accounts.id"], name="fk_envelopes_account", ondelete="CASCADE"
    ),
    Index("ix_envelopes_received_at", "received_at", postgresql_where=text("body is not null")),
    Index("ix_envelopes_account", "account_id"),
    Index("ix_envelopes_quarantined", "received_at", postgresql_where=text("state = 'quarantined'")),
)

envelope_contacts = Table(
    "envelope_contacts",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("envelope_id", Uuid, nullable=False),
    Column("contact_id", Uuid, nullable=False),
    PrimaryKeyConstraint("tenant_id", "envelope_id", "contact_id", name="pk_envelope_contacts"),
    ForeignKeyConstraint(
        ["tenant_id", "envelope_id"], ["envelopes.tenant_id", "envelopes.id"], name="fk_envelope_contacts_envelope", ondelete="CASCADE"
    ),
    ForeignKeyConstraint(
        ["tenant_id", "contact_id"], ["contacts.tenant_id", "contacts.id"], name="fk_envelope_contacts_contact", ondelete="CASCADE"
    ),
    Index("ix_envelope_contacts_contact", "contact_id"),
)

inbox_keys = Table(
    "inbox_keys",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("account_id", Uuid, nullable=False),
    Column("event_key", Text, nullable=False),
    PrimaryKeyConstraint("account_id", "event_key", name="pk_inbox_keys"),
)

inbox = Table(
    "inbox",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("id", Uuid, nullable=False),
    Column("arrival", BigInteger, Identity(always=True)),
    Column("account_id", Uuid, nullable=False),
    Column("event_key", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("contact_id", Uuid),
    Column("conversation_id", Uuid),
    Column("envelope_id", Uuid),
    Column("text", Text),
    Column("content_type", Text, nullable=False),
    Column("supported", Boolean, nullable=False),
    Column("reason", Text),
    Column("occurred_at", DateTime(timezone=True)),
    Column("received_at", DateTime(timezone=True), nullable=False),
    Column("turn_id", Uuid),
    PrimaryKeyConstraint("id", "tenant_id", name="pk_inbox"),
    ForeignKeyConstraint(["tenant_id", "account_id"], ["accounts.tenant_id", "accounts.id"], name="fk_inbox_account", ondelete="CASCADE"),
    ForeignKeyConstraint(
        ["tenant_id", "conversation_id"], ["conversations.tenant_id", "conversations.id"], name="fk_inbox_conversation", ondelete="CASCADE"
    ),
    ForeignKeyConstraint(["tenant_id", "turn_id"], ["turns.tenant_id", "turns.id"], name="fk_inbox_turn"),
    UniqueConstraint("account_id", "event_key", name="uq_inbox_event_key"),
    Index("ix_inbox_conversation", "conversation_id", "arrival"),
    Index("ix_inbox_unanswered", "conversation_id", postgresql_where=text("turn_id is null and kind = 'message'")),
    Index("ix_inbox_turn", "turn_id"),
    Index("ix_inbox_received_at", "received_at"),
)

media = Table(
    "media",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("id", Uuid, nullable=False),
    Column("contact_id", Uuid, nullable=False),
    Column("inbox_id", Uuid, nullable=False),
    Column("n", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("reference", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("media_type", Text),
    Column("width", Integer),
    Column("height", Integer),
    Column("data", LargeBinary),
    Column("created_at", DateTime(timezone=True), nullable=False),
    PrimaryKeyConstraint("id", "tenant_id", name="pk_media"),
    ForeignKeyConstraint(["tenant_id", "contact_id"], ["contacts.tenant_id", "contacts.id"], name="fk_media_contact", ondelete="CASCADE"),
    ForeignKeyConstraint(["tenant_id", "inbox_id"], ["inbox.tenant_id", "inbox.id"], name="fk_media_inbox", ondelete="CASCADE"),
    UniqueConstraint("inbox_id", "n", name="uq_media_n"),
    Index("ix_media_contact", "contact_id"),
    Index("ix_media_old", "created_at", postgresql_where=text("data is not null")),
)

statuses = Table(
    "statuses",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("account_id", Uuid, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("occurred_at", DateTime(timezone=True)),
    Column("correlation", Text),
    Column("error_code", Integer),
    Column("received_at", DateTime(timezone=True), nullable=False),
    PrimaryKeyConstraint("account_id", "external_id", "status", name="pk_statuses"),
    ForeignKeyConstraint(
        ["tenant_id", "account_id"], ["accounts.tenant_id", "accounts.id"], name="fk_statuses_account", ondelete="CASCADE"
    ),
    Index("ix_statuses_correlation", "correlation", postgresql_where=text("correlation is not null")),
)
