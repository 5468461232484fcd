"""Plan the rolling of usage each time."""

from __future__ import annotations

from migrations import functions

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    functions.run("0012_usage")


def downgrade() -> None:
    functions.run("0012_usage_down")
