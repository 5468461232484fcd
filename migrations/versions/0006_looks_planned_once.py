"""Queries that the dispatcher makes ten times a second are no longer planned each time."""

from __future__ import annotations

from alembic import op

from migrations import functions

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    functions.run("0006_looks")


def downgrade() -> None:
    op.execute("drop function queue_spots(); drop function everything_waiting(integer)")
