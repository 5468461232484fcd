"""Operators, take-over, the state of an account's set-up, batches."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_SQL = Path(__file__).parent.parent / "sql"
_PARTS = ("tables", "talk", "intake", "batch", "accounts")
#: Functions of the previous revision that this one replaces: a downgrade creates them again.
_BEFORE = ("accept", "claim", "finish", "send")


def upgrade() -> None:
    for part in _PARTS:
        op.execute((_SQL / f"0003_{part}.sql").read_text())


def downgrade() -> None:
    op.execute(
        "drop function if exists accept_events(uuid, uuid, text, text, bytea, text, jsonb, double precision, double precision, double precision)"
    )
    op.execute((_SQL / "0002_down.sql").read_text())
    op.execute((_SQL / "0003_down.sql").read_text())
    for part in _BEFORE:
        op.execute((_SQL / f"0002_{part}.sql").read_text())
