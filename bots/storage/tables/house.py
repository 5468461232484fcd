"""Workers, watching pages, sign-ins, audit."""

from __future__ import annotations

from sqlalchemy import Column, DateTime, Integer, LargeBinary, PrimaryKeyConstraint, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import ARRAY

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
    PrimaryKeyConstraint("id", "tenant_id", name="pk_audit"),
)
