"""Endpoints and profiles, tokens and money, pictures, summaries; conversations that live on one engine."""

from __future__ import annotations

from migrations import functions

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_PARTS = ("tables", "talk", "finish", "route", "usage", "summary")
#: Functions of earlier revisions that this one replaces, and their files: a downgrade creates them again.
_BEFORE = {
    "0003_intake": ("join_contacts", "accept_events", "claim_turn", "keep_house"),
    "0003_batch": ("finish_item", "batches_waiting", "claim_item"),
    "0002_finish": ("finish_turn",),
}


def upgrade() -> None:
    functions.run(*(f"0004_{part}" for part in _PARTS))


def downgrade() -> None:
    functions.run("0004_down")
    functions.make_anew(_BEFORE)
