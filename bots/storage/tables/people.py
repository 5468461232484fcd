"""Tenants and the people who chat."""

from __future__ import annotations

from sqlalchemy import Column, DateTime, ForeignKeyConstraint, Index, PrimaryKeyConstraint, Table, Text, UniqueConstraint, Uuid

from bots.storage.tables.base import metadata

tenants = Table(
    "tenants",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    PrimaryKeyConstraint("tenant_id", name="pk_tenants"),
    UniqueConstraint("name", name="uq_tenants_name"),
)

contacts = Table(
    "contacts",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("id", Uuid, nullable=False),
    Column("name", Text),
    Column("stopped_at", DateTime(timezone=True)),
    Column("created_at", DateTime(timezone=True), nullable=False),
    ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"]),
    PrimaryKeyConstraint("id", "tenant_id", name="pk_contacts"),
)

contact_identities = Table(
    "contact_identities",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("scope", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("contact_id", Uuid, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    PrimaryKeyConstraint("tenant_id", "scope", "kind", "value", name="pk_contact_identities"),
    ForeignKeyConstraint(
        ["tenant_id", "contact_id"], ["contacts.tenant_id", "contacts.id"], name="fk_contact_identities_contact", ondelete="CASCADE"
    ),
    Index("ix_contact_identities_contact", "tenant_id", "contact_id"),
)
