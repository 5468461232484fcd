"""Memories with two times, and recall."""

from __future__ import annotations

from migrations import functions

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    functions.run(
        "0010_tables",
        "0010_words",
        "0010_contacts",
        "0010_memories",
        "0010_erase",
        "0010_edits",
        "0010_cases",
        "0010_accept",
        "0010_claim",
        "0010_episodes",
        "0010_recall",
        "0010_finish",
        "0010_send",
        "0010_batch",
        "0010_summary",
        "0010_remember",
        "0010_accounts",
        "0010_housekeeping",
        "0010_gone",
    )


def downgrade() -> None:
    functions.run(
        "0010_gone_down",
        "0010_housekeeping_down",
        "0010_accounts_down",
        "0010_remember_down",
        "0010_summary_down",
        "0010_batch_down",
        "0010_send_down",
        "0010_finish_down",
        "0010_recall_down",
        "0010_episodes_down",
        "0010_claim_down",
        "0010_accept_down",
        "0010_cases_down",
        "0010_edits_down",
        "0010_erase_down",
        "0010_memories_down",
        "0010_contacts_down",
        "0010_words_down",
        "0010_tables_down",
    )
