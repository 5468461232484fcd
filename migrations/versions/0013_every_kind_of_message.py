"""Every kind of message."""

from __future__ import annotations

from migrations import functions

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    functions.run("0013_tables", "0013_words", "0013_contacts", "0013_edits", "0013_accept", "0013_claim")


def downgrade() -> None:
    functions.run("0013_claim_down", "0013_accept_down", "0013_edits_down", "0013_contacts_down", "0013_words_down", "0013_tables_down")
