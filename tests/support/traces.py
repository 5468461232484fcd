"""Where words still are in a database: in any column of any table, and in the bytes of the files on disk."""

from __future__ import annotations

import unicodedata

from sqlalchemy import Connection

from tests.support.cluster import Cluster

_COLUMNS = """
    select c.oid::regclass::text as "table", quote_ident(a.attname) as "column", t.typname as type
    from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped join pg_type t on t.oid = a.atttypid
    where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace
"""


def in_tables(connection: Connection, words: str) -> set[str]:
    """The columns that have these words, in any case, whatever their type."""
    found: set[str] = set()
    for row in connection.exec_driver_sql(_COLUMNS).all():
        value = f"encode({row.column}, 'escape')" if row.type == "bytea" else f"{row.column}::text"
        if connection.exec_driver_sql(f"select exists (select from {row.table} where {value} ilike %s)", (f"%{words}%",)).scalar():
            found.add(f"{row.table}.{row.column}")
    return found


def in_files(cluster: Cluster, database: str, words: str) -> set[str]:
    """The tables and indexes whose files have these words after all rows that are gone were swept out of them."""
    engine = cluster.engine(database)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # The statistics keep samples of values until they are made anew.
        connection.exec_driver_sql("analyze")
        connection.exec_driver_sql("vacuum full")
        connection.exec_driver_sql("checkpoint")
        number = connection.exec_driver_sql("select oid from pg_database where datname = current_database()").scalar()
        names = {
            str(node): name for node, name in connection.exec_driver_sql("select pg_relation_filenode(oid), relname from pg_class").all()
        }
    engine.dispose()
    forms = {form.encode() for one in (words, words.lower(), words.upper()) for form in (one, unicodedata.normalize("NFD", one))}
    found: set[str] = set()
    for file in (cluster.postgres.data / "base" / str(number)).iterdir():
        held = file.read_bytes()
        if any(form in held for form in forms):
            found.add(names.get(file.name.split(".")[0], file.name))
    return found


class Traces:
    """Looks for words in a database, as somebody who sees all of it."""

    def __init__(self, cluster: Cluster, database: str) -> None:
        self._cluster, self._database = cluster, database

    def __call__(self, words: str) -> set[str]:
        """The columns that have them."""
        engine = self._cluster.engine(self._database)
        with engine.connect() as connection:
            found = in_tables(connection, words)
        engine.dispose()
        return found

    def on_disk(self, words: str) -> set[str]:
        """The tables and indexes whose files have them."""
        return in_files(self._cluster, self._database, words)
