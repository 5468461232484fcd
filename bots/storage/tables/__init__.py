"""The schema as SQLAlchemy Core tables, by noun. A test holds them equal to what the migrations make."""

from __future__ import annotations

from bots.storage.tables import accounts, batches, house, inbound, outbound, people, serving, talk
from bots.storage.tables.base import metadata

__all__ = ["accounts", "batches", "house", "inbound", "metadata", "outbound", "people", "serving", "talk"]
