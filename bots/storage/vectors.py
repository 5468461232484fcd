"""The vectors that are stored in the database: their lengths, and how many are still to be made."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text

#: pgvector stores a column's dimensions as its type modifier; -1 means that a column accepts vectors of any length.
_COLUMNS = """
select c.relname as "table", a.attname as "column", a.atttypmod as dimensions
from pg_attribute a
join pg_class c on c.oid = a.attrelid and c.relkind in ('r', 'p')
join pg_type t on t.oid = a.atttypid and t.typname in ('vector', 'halfvec')
where a.atttypmod > 0 and not a.attisdropped and pg_table_is_visible(c.oid)
order by 1, 2
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorColumn:
    """A column of vectors of one length."""

    table: str
    column: str
    dimensions: int


def columns(connection: Connection) -> list[VectorColumn]:
    """Return every column of vectors; empty where nothing has been embedded yet."""
    return [VectorColumn(**row) for row in connection.execute(text(_COLUMNS)).mappings()]


def count_without(connection: Connection, model: str) -> int:
    """How many turns can be recalled and have no vector of this model."""
    return connection.execute(
        text(
            "with made_by as (select (select id from embedders where model = :model) as id)"
            " select (select count(*) from episodes, made_by where embedder is distinct from made_by.id)"
            " + (select count(*) from fresh_episodes, made_by where embedder is distinct from made_by.id)"
        ),
        {"model": model},
    ).scalar_one()


def version(connection: Connection) -> str | None:
    """The version of pgvector in this database; None where it is missing."""
    return connection.execute(text("select extversion from pg_extension where extname = 'vector'")).scalar()
