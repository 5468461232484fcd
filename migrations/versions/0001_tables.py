"""The tables, with their row-level security and the grants of the login roles."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    op.execute((_SQL / "0001_tables.sql").read_text())
    op.execute((_SQL / "0001_security.sql").read_text())


def downgrade() -> None:
    op.execute((_SQL / "0001_down.sql").read_text())
