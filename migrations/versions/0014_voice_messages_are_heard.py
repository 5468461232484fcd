"""Voice messages are heard."""

from __future__ import annotations

from migrations import functions

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    functions.run("0014_tables", "0014_words", "0014_claim")


def downgrade() -> None:
    functions.run("0014_claim_down", "0014_words_down", "0014_tables_down")
