"""Model servers as they really behave."""

from __future__ import annotations

from migrations import functions

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    functions.run("0009_tables", "0009_finish", "0009_batch", "0009_summary", "0009_usage", "0009_models", "0009_housekeeping")


def downgrade() -> None:
    functions.run(
        "0009_housekeeping_down",
        "0009_models_down",
        "0009_usage_down",
        "0009_summary_down",
        "0009_batch_down",
        "0009_finish_down",
        "0009_tables_down",
    )
