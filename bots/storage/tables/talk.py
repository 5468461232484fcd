"""Conversations, turns and what a turn used."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from bots.storage.tables.base import metadata

conversations = Table(
    "conversations",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("id", Uuid, nullable=False),
    Column("account_id", Uuid, nullable=False),
    Column("contact_id", Uuid, nullable=False),
    Column("thread", Text, nullable=False),
    Column("queue", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("closed_at", DateTime(timezone=True)),
    Column("ready_at", DateTime(timezone=True)),
    Column("waiting_since", DateTime(timezone=True)),
    Column("newest_at", DateTime(timezone=True)),
    Column("hold_until", DateTime(timezone=True)),
    Column("history_from", Integer, nullable=False),
    Column("session_at", DateTime(timezone=True), nullable=False),
    Column("lease_token", BigInteger, nullable=False),
    Column("leased_by", Uuid),
    Column("leased_until", DateTime(timezone=True)),
    Column("taken_by", Text),
    Column("taken_at", DateTime(timezone=True)),
    Column("taken_until", DateTime(timezone=True)),
    Column("summary", Text),
    Column("summary_until", Integer, nullable=False),
    Column("summarise_at", DateTime(timezone=True)),
    Column("summarise_to", Integer),
    Column("summarise_tries", Integer, nullable=False),
    PrimaryKeyConstraint("id", "tenant_id", name="pk_conversations"),
    ForeignKeyConstraint(
        ["tenant_id", "account_id"], ["accounts.tenant_id", "accounts.id"], name="fk_conversations_account", ondelete="CASCADE"
    ),
    ForeignKeyConstraint(
        ["tenant_id", "contact_id"], ["contacts.tenant_id", "contacts.id"], name="fk_conversations_contact", ondelete="CASCADE"
    ),
    Index("uq_conversations_open", "account_id", "contact_id", "thread", unique=True, postgresql_where=text("closed_at is null")),
    Index("ix_conversations_due", "queue", "ready_at", postgresql_where=text("ready_at is not null")),
    Index("ix_conversations_leased", "leased_by", postgresql_where=text("leased_by is not null")),
    Index("ix_conversations_account", "account_id"),
    Index("ix_conversations_contact", "tenant_id", "contact_id"),
    Index("ix_conversations_summarise", "summarise_at", postgresql_where=text("summarise_at is not null")),
    Index("ix_conversations_taken", "taken_until", postgresql_where=text("taken_by is not null")),
    Index("ix_conversations_newest", "newest_at"),
)

turns = Table(
    "turns",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("id", Uuid, nullable=False),
    Column("conversation_id", Uuid, nullable=False),
    Column("contact_id", Uuid, nullable=False),
    Column("number", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("tries", Integer, nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("opened_at", DateTime(timezone=True), nullable=False),
    Column("claimed_at", DateTime(timezone=True)),
    Column("asked", Text),
    Column("answer", Text),
    Column("in_history", Boolean, nullable=False),
    Column("finished_at", DateTime(timezone=True)),
    Column("apologised_at", DateTime(timezone=True)),
    Column("answered_by", Text),
    PrimaryKeyConstraint("id", "tenant_id", name="pk_turns"),
    ForeignKeyConstraint(
        ["tenant_id", "conversation_id"], ["conversations.tenant_id", "conversations.id"], name="fk_turns_conversation", ondelete="CASCADE"
    ),
    UniqueConstraint("conversation_id", "number", name="uq_turns_number"),
    Index("uq_turns_open", "conversation_id", unique=True, postgresql_where=text("state = 'open'")),
    Index("ix_turns_dead", "finished_at", postgresql_where=text("state = 'dead'")),
    Index("ix_turns_finished_at", "finished_at"),
    Index("ix_turns_budget", "finished_at", postgresql_where=text("reason like 'budget%'")),
)

model_calls = Table(
    "model_calls",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("id", Uuid, nullable=False),
    Column("turn_id", Uuid, nullable=False),
    Column("contact_id", Uuid, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("prompt", JSONB, nullable=False),
    Column("tokens_in", Integer),
    Column("tokens_cached", Integer),
    Column("tokens_out", Integer),
    Column("first_token_ms", Double),
    Column("total_ms", Double),
    Column("cost", Double),
    Column("outcome", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    UniqueConstraint("turn_id", "attempt", name="uq_model_calls_attempt"),
    PrimaryKeyConstraint("id", "tenant_id", name="pk_model_calls"),
    ForeignKeyConstraint(["tenant_id", "turn_id"], ["turns.tenant_id", "turns.id"], name="fk_model_calls_turn", ondelete="CASCADE"),
    Index("ix_model_calls_created_at", "created_at"),
    Index("ix_model_calls_contact", "contact_id", "created_at"),
)

recalls = Table(
    "recalls",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("turn_id", Uuid, nullable=False),
    Column("memory_id", Uuid, nullable=False),
    Column("contact_id", Uuid, nullable=False),
    Column("rank", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    PrimaryKeyConstraint("tenant_id", "turn_id", "memory_id", name="pk_recalls"),
    ForeignKeyConstraint(["tenant_id", "turn_id"], ["turns.tenant_id", "turns.id"], name="fk_recalls_turn", ondelete="CASCADE"),
    ForeignKeyConstraint(["tenant_id", "memory_id"], ["memories.tenant_id", "memories.id"], name="fk_recalls_memory", ondelete="CASCADE"),
    Index("ix_recalls_memory", "memory_id"),
)

memories = Table(
    "memories",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("id", Uuid, nullable=False),
    Column("contact_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("single", Boolean, nullable=False),
    Column("source_inbox_id", Uuid, nullable=False),
    Column("source_turn_id", Uuid, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("valid_to", DateTime(timezone=True)),
    Column("superseded_by", Uuid),
    PrimaryKeyConstraint("id", "tenant_id", name="pk_memories"),
    ForeignKeyConstraint(
        ["tenant_id", "contact_id"], ["contacts.tenant_id", "contacts.id"], name="fk_memories_contact", ondelete="CASCADE"
    ),
    ForeignKeyConstraint(
        ["tenant_id", "source_inbox_id"], ["inbox.tenant_id", "inbox.id"], name="fk_memories_source_inbox", ondelete="CASCADE"
    ),
    Index("ix_memories_contact", "contact_id", "created_at"),
    Index("ix_memories_source_inbox", "source_inbox_id"),
)
