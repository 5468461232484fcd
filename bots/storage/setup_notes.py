"""What webhooks reveal about an account's set-up: when the platform verified the address, when webhooks arrived, why the last one was refused."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Engine

from bots.storage.database import call


def note_handshake(engine: Engine, account: UUID) -> None:
    """Record that the platform has verified the address. Raises StorageUnavailable."""
    _note(engine, "handshake_at = now()", account)


def note_webhook(engine: Engine, account: UUID) -> None:
    """Record that a signed webhook arrived. Raises StorageUnavailable."""
    _note(engine, "first_webhook_at = coalesce(first_webhook_at, now()), last_webhook_at = now()", account)


def note_refusal(engine: Engine, account: UUID, diagnosis: str) -> None:
    """Record why a webhook or a handshake was refused. Raises StorageUnavailable."""
    _note(engine, "refused_at = now(), refusal = %s", account, diagnosis)


def _note(engine: Engine, what: str, account: UUID, *values: str) -> None:
    call(engine, f"update accounts set {what} where id = %s returning 1", (*values, account), repeat=False)  # noqa: S608 - a literal of this module
