"""Bots, their personas and the accounts they answer on."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    Double,
    ForeignKeyConstraint,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSONB

from bots.storage.tables.base import metadata

bots = Table(
    "bots",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("id", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("profile", Text, nullable=False),
    Column("fallback_text", Text, nullable=False),
    Column("apology_text", Text),
    Column("memory_on", Boolean, nullable=False),
    Column("persona_version", Integer, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("language", Text),
    Column("first_contact", Text),
    Column("data_may_leave", Boolean, nullable=False),
    Column("budget_contact_day", Double),
    Column("budget_month", Double),
    ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"]),
    PrimaryKeyConstraint("id", "tenant_id", name="pk_bots"),
    UniqueConstraint("tenant_id", "name", name="uq_bots_name"),
)

personas = Table(
    "personas",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("bot_id", Uuid, nullable=False),
    Column("version", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("created_by", Text),
    PrimaryKeyConstraint("tenant_id", "bot_id", "version", name="pk_personas"),
    ForeignKeyConstraint(["tenant_id", "bot_id"], ["bots.tenant_id", "bots.id"], name="fk_personas_bot", ondelete="CASCADE"),
)

accounts = Table(
    "accounts",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("id", Uuid, nullable=False),
    Column("bot_id", Uuid, nullable=False),
    Column("channel", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("state_reason", Text),
    Column("app_secret", LargeBinary),
    Column("app_secret_before", LargeBinary),
    Column("verify_token", LargeBinary),
    Column("access_token", LargeBinary),
    Column("unknown_send", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("persona_version", Integer),
    Column("door", Text, nullable=False),
    Column("app_id", Text),
    Column("parent_id", Text),
    Column("public_url", Text),
    Column("handshake_at", DateTime(timezone=True)),
    Column("first_webhook_at", DateTime(timezone=True)),
    Column("last_webhook_at", DateTime(timezone=True)),
    Column("refused_at", DateTime(timezone=True)),
    Column("refusal", Text),
    Column("health", JSONB),
    Column("health_at", DateTime(timezone=True)),
    PrimaryKeyConstraint("id", "tenant_id", name="pk_accounts"),
    ForeignKeyConstraint(["tenant_id", "bot_id"], ["bots.tenant_id", "bots.id"], name="fk_accounts_bot"),
    UniqueConstraint("channel", "name", name="uq_accounts_name"),
    UniqueConstraint("channel", "external_id", name="uq_accounts_external_id"),
)
