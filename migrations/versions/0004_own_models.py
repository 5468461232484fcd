"""Endpoints and profiles, tokens and money, pictures, summaries; conversations that live on one engine."""

from __future__ import annotations

import re
from pathlib import Path

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_SQL = Path(__file__).parent.parent / "sql"
_PARTS = ("tables", "talk", "finish", "route", "usage", "summary")
#: Functions of revisions before that this one replaces, and where they stand: going down makes them anew.
_BEFORE = {
    "0003_talk": ("join_contacts", "accept_events", "claim_turn", "keep_house"),
    "0003_batch": ("finish_item", "batches_waiting", "claim_item"),
    "0002_finish": ("finish_turn",),
}


def upgrade() -> None:
    for part in _PARTS:
        op.execute((_SQL / f"0004_{part}.sql").read_text())


def downgrade() -> None:
    op.execute((_SQL / "0004_down.sql").read_text())
    for file, names in _BEFORE.items():
        text = (_SQL / f"{file}.sql").read_text()
        for name in names:
            found = re.search(rf"^create (?:or replace )?function ({name}\(.*?^\$\$;)", text, re.MULTILINE | re.DOTALL)
            assert found is not None, name
            op.execute(f"create or replace function {found[1]}")
