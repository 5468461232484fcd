"""How a revision that consists of SQL files goes up and down: files in an order, and functions that it replaces."""

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
        # A colon in the text, as in '{"a":1}', is not a parameter.
        op.execute(text((_SQL / f"{file}.sql").read_text("utf-8").replace(":", r"\:")))


def make_anew(functions: Mapping[str, Iterable[str]]) -> None:
    """Create functions with their text from the files of earlier revisions, by file."""
    for file, names in functions.items():
        whole = (_SQL / f"{file}.sql").read_text("utf-8")
        for name in names:
            found = re.search(rf"^create (?:or replace )?function ({name}\(.*?^\$\$;)", whole, re.MULTILINE | re.DOTALL)
            assert found is not None, name
            op.execute(f"create or replace function {found[1]}")
