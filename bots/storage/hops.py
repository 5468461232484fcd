"""What webhooks tell of an account's set-up: when the platform shook hands, when webhooks came, and why the last refused one was."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Engine

from bots.storage.database import call


def note_handshake(engine: Engine, account: UUID) -> None:
    """Note that the platform has verified the address. Raises StorageUnavailable."""
    _note(engine, "handshake_at = now()", account)


def note_webhook(engine: Engine, account: UUID) -> None:
    """Note that a signed webhook came. Raises StorageUnavailable."""
    _note(engine, "first_webhook_at = coalesce(first_webhook_at, now()), last_webhook_at = now()", account)


def note_refusal(engine: Engine, account: UUID, word: str) -> None:
    """Note why a webhook or a handshake was refused. Raises StorageUnavailable."""
    _note(engine, "refused_at = now(), refusal = %s", account, word)


def _note(engine: Engine, what: str, account: UUID, *values: str) -> None:
    call(engine, f"update accounts set {what} where id = %s returning 1", (*values, account), repeat=False)  # noqa: S608 - a literal of this module
