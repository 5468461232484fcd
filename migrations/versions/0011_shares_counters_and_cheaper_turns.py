"""Shares, counters and cheaper turns."""

from __future__ import annotations

from migrations import functions

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    functions.run(
        "0011_tables",
        "0011_contacts",
        "0011_memories",
        "0011_accept",
        "0011_shares",
        "0011_accept_many",
        "0011_due",
        "0011_claim",
        "0011_episodes",
        "0011_finish",
        "0011_limits",
        "0011_send",
        "0011_batch",
        "0011_dispatch",
        "0011_usage",
        "0011_figures",
        "0011_search",
        "0011_accounts",
        "0011_housekeeping",
        "0011_gone",
    )


def downgrade() -> None:
    functions.run(
        "0011_gone_down",
        "0011_housekeeping_down",
        "0011_accounts_down",
        "0011_search_down",
        "0011_figures_down",
        "0011_usage_down",
        "0011_dispatch_down",
        "0011_batch_down",
        "0011_send_down",
        "0011_limits_down",
        "0011_finish_down",
        "0011_episodes_down",
        "0011_claim_down",
        "0011_due_down",
        "0011_accept_many_down",
        "0011_shares_down",
        "0011_accept_down",
        "0011_memories_down",
        "0011_contacts_down",
        "0011_tables_down",
    )
