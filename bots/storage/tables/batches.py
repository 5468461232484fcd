"""Batches and their items: a file of questions that is answered through the queue."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
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
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from bots.storage.tables.base import metadata

batches = Table(
    "batches",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("id", Uuid, nullable=False),
    Column("bot_id", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("queue", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("idempotency_key", Text),
    Column("file_sha256", LargeBinary),
    Column("total", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("touched_at", DateTime(timezone=True), nullable=False),
    Column("started_at", DateTime(timezone=True)),
    Column("finished_at", DateTime(timezone=True)),
    Column("hold_until", DateTime(timezone=True)),
    PrimaryKeyConstraint("id", "tenant_id", name="pk_batches"),
    ForeignKeyConstraint(["tenant_id", "bot_id"], ["bots.tenant_id", "bots.id"], name="fk_batches_bot"),
    UniqueConstraint("tenant_id", "idempotency_key", name="uq_batches_idempotency_key"),
    Index("ix_batches_running", "queue", "created_at", postgresql_where=text("state = 'running'")),
)

batch_items = Table(
    "batch_items",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("batch_id", Uuid, nullable=False),
    Column("n", BigInteger, nullable=False),
    Column("custom_id", Text, nullable=False),
    Column("request", JSONB, nullable=False),
    Column("state", Text, nullable=False),
    Column("ready_at", DateTime(timezone=True)),
    Column("token", BigInteger, nullable=False),
    Column("leased_by", Uuid),
    Column("tries", Integer, nullable=False),
    Column("answer", Text),
    Column("reason", Text),
    Column("model", Text),
    Column("tokens_in", Integer),
    Column("tokens_cached", Integer),
    Column("tokens_out", Integer),
    Column("endpoint", Text),
    Column("cost", Double),
    Column("finished_at", DateTime(timezone=True)),
    PrimaryKeyConstraint("batch_id", "n", name="pk_batch_items"),
    UniqueConstraint("batch_id", "custom_id", name="uq_batch_items_custom_id"),
    ForeignKeyConstraint(["tenant_id", "batch_id"], ["batches.tenant_id", "batches.id"], name="fk_batch_items_batch", ondelete="CASCADE"),
    Index("ix_batch_items_due", "batch_id", "ready_at", "n", postgresql_where=text("ready_at is not null")),
    Index("ix_batch_items_state", "batch_id", "state"),
    Index("ix_batch_items_finished", "batch_id", "finished_at", postgresql_where=text("finished_at is not null")),
    Index("ix_batch_items_ended", "finished_at", postgresql_where=text("finished_at is not null")),
    Index("ix_batch_items_leased", "leased_by", postgresql_where=text("leased_by is not null")),
)
