"""Paid calls are counted once and at their endpoint; a budget a day is one bot's; what is forgotten is told nowhere."""

from __future__ import annotations

from migrations import functions

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

#: In this order; each replaces functions of before, or adds some.
_PARTS = ("finish", "usage", "summary", "talk", "batch")
#: Functions of revisions before that this one replaces, and where they stand: going down makes them anew.
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
