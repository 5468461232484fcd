"""Paid calls are counted once and for their endpoint; a daily budget belongs to one bot; what is forgotten appears nowhere."""

from __future__ import annotations

from migrations import functions

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

#: In this order; each replaces earlier functions, or adds some.
_PARTS = ("finish", "usage", "summary", "talk", "batch")
#: Functions of earlier revisions that this one replaces, and their files: a downgrade creates them again.
_BEFORE = {
    "0004_finish": ("finish_turn", "finish_item"),
    "0004_usage": ("hold_spent_batches",),
    "0004_summary": ("pay_summary", "finish_summary", "put_off_summary", "batches_waiting"),
    "0003_talk": ("answer_by_hand", "answered_elsewhere"),
}


def upgrade() -> None:
    functions.run(*(f"0005_{part}" for part in _PARTS))


def downgrade() -> None:
    functions.run("0005_down")
    functions.make_anew(_BEFORE)
