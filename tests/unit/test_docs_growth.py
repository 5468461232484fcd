"""Every table is listed with what it grows with and what bounds it."""

from __future__ import annotations

import re
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_PAGE = (_ROOT / "docs" / "operations.md").read_text("utf-8")
_SECTION = _PAGE.split("\n## What grows, and what bounds it\n")[1].split("\n## ")[0]


def test_no_table_is_made_that_nobody_says_how_it_grows() -> None:
    made = {
        name
        for file in (_ROOT / "bots" / "storage" / "sql" / "tables").glob("*.sql")
        for name in re.findall(r"^create (?:unlogged )?table (\w+) \(", file.read_text("utf-8"), re.MULTILINE)
    }
    listed = {name for line in _SECTION.splitlines() if line.startswith("| `") for name in re.findall(r"`(\w+)`", line.split("|")[1])}

    assert listed == made
