"""The schema at head: the files of bots/storage/sql that make it, in an order in which they build an empty database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, text

SQL = Path(__file__).parent.parent / "bots" / "storage" / "sql"
#: A table comes after those that it refers to.
TABLES = (
    "accounts",
    "contacts",
    "conversations",
    "intake",
    "memories",
    "episodes",
    "outbox",
    "batches",
    "endpoints",
    "operators",
    "workers",
    "figures",
)
#: A function in SQL comes after those that it calls; one in plpgsql may come anywhere.
FUNCTIONS = (
    "words",
    "talk",
    "delivery",
    "contacts",
    "memories",
    "erase",
    "edits",
    "handles",
    "cases",
    "accept",
    "shares",
    "accept_many",
    "due",
    "claim",
    "episodes",
    "recall",
    "finish",
    "trouble",
    "limits",
    "send",
    "route",
    "batch",
    "dispatch",
    "summary",
    "remember",
    "usage",
    "figures",
    "search",
    "models",
    "accounts",
    "housekeeping",
)


def files(folder: Path = SQL) -> Iterator[Path]:
    """Every file of a folder like bots/storage/sql, in order."""
    yield from (folder / "tables" / f"{noun}.sql" for noun in TABLES)
    yield folder / "security.sql"
    yield from (folder / f"{noun}.sql" for noun in FUNCTIONS)


def build(connection: Connection, folder: Path = SQL) -> None:
    """Create everything in an empty database whose login roles exist. The caller commits."""
    for file in files(folder):
        # A colon in the text, as in '{"a":1}', is not a parameter.
        connection.execute(text(file.read_text("utf-8").replace(":", r"\:")))
