"""Messages on their way out, and each attempt."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from bots.storage.tables.base import metadata

outbox = Table(
    "outbox",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("id", Uuid, nullable=False),
    Column("seq", BigInteger, Identity(always=True)),
    Column("turn_id", Uuid, nullable=False),
    Column("part", Integer, nullable=False),
    Column("account_id", Uuid, nullable=False),
    Column("contact_id", Uuid, nullable=False),
    Column("conversation_id", Uuid, nullable=False),
    Column("body", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("external_id", Text),
    Column("not_before", DateTime(timezone=True)),
    Column("sends", Integer, nullable=False),
    Column("attention_at", DateTime(timezone=True)),
    Column("status_at", DateTime(timezone=True), nullable=False),
    Column("reason", Text),
    Column("created_at", DateTime(timezone=True), nullable=False),
    PrimaryKeyConstraint("id", "tenant_id", name="pk_outbox"),
    ForeignKeyConstraint(["tenant_id", "turn_id"], ["turns.tenant_id", "turns.id"], name="fk_outbox_turn", ondelete="CASCADE"),
    UniqueConstraint("turn_id", "part", name="uq_outbox_part"),
    UniqueConstraint("account_id", "external_id", name="uq_outbox_external_id"),
    Index("ix_outbox_conversation", "conversation_id", "seq"),
    Index("ix_outbox_due", "not_before", postgresql_where=text("not_before is not null")),
    Index("ix_outbox_attention", "attention_at", postgresql_where=text("attention_at is not null")),
)

send_attempts = Table(
    "send_attempts",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("id", Uuid, nullable=False),
    Column("message_id", Uuid, nullable=False),
    Column("contact_id", Uuid, nullable=False),
    Column("n", Integer, nullable=False),
    Column("boot_id", Uuid, nullable=False),
    Column("started_at", DateTime(timezone=True), nullable=False),
    Column("finished_at", DateTime(timezone=True)),
    Column("outcome", Text),
    Column("http_status", Integer),
    Column("error_code", Integer),
    Column("trace_id", Text),
    PrimaryKeyConstraint("id", "tenant_id", name="pk_send_attempts"),
    ForeignKeyConstraint(
        ["tenant_id", "message_id"], ["outbox.tenant_id", "outbox.id"], name="fk_send_attempts_message", ondelete="CASCADE"
    ),
    UniqueConstraint("message_id", "n", name="uq_send_attempts_n"),
    Index("ix_send_attempts_open", "started_at", postgresql_where=text("finished_at is null")),
)
