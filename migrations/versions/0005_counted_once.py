"""Paid calls are counted once and at their endpoint; a budget a day is one bot's; what is forgotten is told nowhere."""

from __future__ import annotations

import re
from pathlib import Path

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_SQL = Path(__file__).parent.parent / "sql"
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
    for part in _PARTS:
        op.execute((_SQL / f"0005_{part}.sql").read_text())


def downgrade() -> None:
    op.execute((_SQL / "0005_down.sql").read_text())
    for file, names in _BEFORE.items():
        text = (_SQL / f"{file}.sql").read_text()
        for name in names:
            found = re.search(rf"^create (?:or replace )?function ({name}\(.*?^\$\$;)", text, re.MULTILINE | re.DOTALL)
            assert found is not None, name
            op.execute(f"create or replace function {found[1]}")
