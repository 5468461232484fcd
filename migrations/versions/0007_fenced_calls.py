"""Calls of a turn whose lease another worker took meanwhile are paid for, so they count."""

from __future__ import annotations

from alembic import op

from migrations import functions

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    functions.run("0007_fenced")


def downgrade() -> None:
    op.execute("drop function pay_fenced(uuid, uuid, jsonb)")
