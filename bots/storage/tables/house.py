"""Workers, watching pages, operators and their ways in, audit."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from bots.storage.tables.base import metadata

worker_heartbeats = Table(
    "worker_heartbeats",
    metadata,
    Column("name", Text, nullable=False),
    Column("boot_id", Uuid, nullable=False),
    Column("queues", ARRAY(Text), nullable=False),
    Column("slots", Integer, nullable=False),
    Column("busy", Integer, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    PrimaryKeyConstraint("name", name="pk_worker_heartbeats"),
)

watchers = Table(
    "watchers",
    metadata,
    Column("conversation_id", Uuid, nullable=False),
    Column("until", DateTime(timezone=True), nullable=False),
    PrimaryKeyConstraint("conversation_id", name="pk_watchers"),
)

admin_links = Table(
    "admin_links",
    metadata,
    Column("token_sha256", LargeBinary, nullable=False),
    Column("kind", Text, nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("used_at", DateTime(timezone=True)),
    Column("operator_id", Uuid),
    PrimaryKeyConstraint("token_sha256", name="pk_admin_links"),
)

audit = Table(
    "audit",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("id", Uuid, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", JSONB),
    PrimaryKeyConstraint("id", "tenant_id", name="pk_audit"),
    Index("ix_audit_at", "tenant_id", "at"),
)

operators = Table(
    "operators",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("id", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("password_hash", Text),
    Column("role", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("last_in_at", DateTime(timezone=True)),
    Column("disabled_at", DateTime(timezone=True)),
    ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"]),
    PrimaryKeyConstraint("id", "tenant_id", name="pk_operators"),
    UniqueConstraint("tenant_id", "name", name="uq_operators_name"),
)

operator_sessions = Table(
    "operator_sessions",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("token_sha256", LargeBinary, nullable=False),
    Column("operator_id", Uuid, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    PrimaryKeyConstraint("token_sha256", name="pk_operator_sessions"),
    ForeignKeyConstraint(
        ["tenant_id", "operator_id"], ["operators.tenant_id", "operators.id"], name="fk_operator_sessions_operator", ondelete="CASCADE"
    ),
    Index("ix_operator_sessions_operator", "operator_id"),
)

api_tokens = Table(
    "api_tokens",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("id", Uuid, nullable=False),
    Column("operator_id", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("token_sha256", LargeBinary, nullable=False),
    Column("role", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("last_used_at", DateTime(timezone=True)),
    Column("revoked_at", DateTime(timezone=True)),
    PrimaryKeyConstraint("id", "tenant_id", name="pk_api_tokens"),
    UniqueConstraint("token_sha256", name="uq_api_tokens_hash"),
    ForeignKeyConstraint(
        ["tenant_id", "operator_id"], ["operators.tenant_id", "operators.id"], name="fk_api_tokens_operator", ondelete="CASCADE"
    ),
)
