"""How a revision of SQL files goes up and down: parts in an order, and functions that it replaces."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from alembic import op

_SQL = Path(__file__).parent / "sql"


def run(*files: str) -> None:
    """Run SQL files in this order."""
    for file in files:
        op.execute((_SQL / f"{file}.sql").read_text())


def make_anew(functions: Mapping[str, Iterable[str]]) -> None:
    """Make functions as they stand in files of revisions before, by file."""
    for file, names in functions.items():
        text = (_SQL / f"{file}.sql").read_text()
        for name in names:
            found = re.search(rf"^create (?:or replace )?function ({name}\(.*?^\$\$;)", text, re.MULTILINE | re.DOTALL)
            assert found is not None, name
            op.execute(f"create or replace function {found[1]}")
