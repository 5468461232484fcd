"""What was said may change, two people never become one, and whose trouble a refusal is."""

from __future__ import annotations

from migrations import functions

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

#: In this order, and back in the opposite one.
_PARTS = (
    "tables",
    "words",
    "talk",
    "delivery",
    "contacts",
    "edits",
    "handles",
    "cases",
    "accept",
    "claim",
    "finish",
    "trouble",
    "limits",
    "send",
    "dispatch",
    "summary",
    "housekeeping",
    "gone",
)


def upgrade() -> None:
    functions.run(*(f"0008_{part}" for part in _PARTS), "0008_norm")


def downgrade() -> None:
    functions.run(*(f"0008_{part}_down" for part in reversed(_PARTS)))
