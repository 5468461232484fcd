"""How a revision of SQL files goes up and down: parts in an order, and functions that it replaces."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from alembic import op
from sqlalchemy import text

_SQL = Path(__file__).parent / "sql"


def run(*files: str) -> None:
    """Run SQL files in this order."""
    for file in files:
        # A colon in there, as in '{"a":1}', is no parameter of ours.
        op.execute(text((_SQL / f"{file}.sql").read_text("utf-8").replace(":", r"\:")))


def make_anew(functions: Mapping[str, Iterable[str]]) -> None:
    """Make functions as they stand in files of revisions before, by file."""
    for file, names in functions.items():
        whole = (_SQL / f"{file}.sql").read_text("utf-8")
        for name in names:
            found = re.search(rf"^create (?:or replace )?function ({name}\(.*?^\$\$;)", whole, re.MULTILINE | re.DOTALL)
            assert found is not None, name
            op.execute(f"create or replace function {found[1]}")
