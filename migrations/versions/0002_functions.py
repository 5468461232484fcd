"""The functions of the hot path: each is one short transaction and one round trip."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_SQL = Path(__file__).parent.parent / "sql"
_PARTS = ("accept", "claim", "finish", "send")


def upgrade() -> None:
    for part in _PARTS:
        op.execute((_SQL / f"0002_{part}.sql").read_text())


def downgrade() -> None:
    op.execute((_SQL / "0002_down.sql").read_text())
