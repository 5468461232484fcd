"""Endpoints and the profiles made of them, and what they cost by day."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Double,
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
from sqlalchemy.dialects.postgresql import JSONB

from bots.storage.tables.base import metadata

endpoints = Table(
    "endpoints",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("id", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("api_key", LargeBinary),
    Column("leaves_house", Boolean, nullable=False),
    Column("price_in", Double),
    Column("price_cached", Double),
    Column("price_out", Double),
    Column("traits", JSONB, nullable=False),
    Column("notes", JSONB, nullable=False),
    Column("probed_at", DateTime(timezone=True)),
    Column("probe_at", DateTime(timezone=True)),
    Column("created_at", DateTime(timezone=True), nullable=False),
    ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"]),
    PrimaryKeyConstraint("id", "tenant_id", name="pk_endpoints"),
    UniqueConstraint("tenant_id", "name", name="uq_endpoints_name"),
)

profile_endpoints = Table(
    "profile_endpoints",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("profile", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("endpoint_id", Uuid, nullable=False),
    PrimaryKeyConstraint("tenant_id", "profile", "endpoint_id", name="pk_profile_endpoints"),
    ForeignKeyConstraint(
        ["tenant_id", "endpoint_id"], ["endpoints.tenant_id", "endpoints.id"], name="fk_profile_endpoints_endpoint", ondelete="CASCADE"
    ),
    Index("ix_profile_endpoints_endpoint", "endpoint_id"),
)

usage_days = Table(
    "usage_days",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("day", Date, nullable=False),
    Column("bot_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("calls", BigInteger, nullable=False),
    Column("tokens_in", BigInteger, nullable=False),
    Column("tokens_cached", BigInteger, nullable=False),
    Column("tokens_out", BigInteger, nullable=False),
    Column("cost", Double, nullable=False),
    CheckConstraint("kind in ('talk', 'batch')", name="ck_usage_days_kind"),
    ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"]),
    PrimaryKeyConstraint("tenant_id", "day", "bot_id", "kind", "endpoint", "model", name="pk_usage_days"),
)

usage_until = Table(
    "usage_until",
    metadata,
    Column("kind", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    PrimaryKeyConstraint("kind", name="pk_usage_until"),
)
