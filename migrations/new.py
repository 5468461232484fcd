"""Writes the next revision: `make revision NAME="what it does"`.

It compares the schema at head (bots/storage/sql) with what migrating from nothing makes. The text of the functions that differ is copied into
migrations/sql, both ways, where it never changes again. Other differences are listed in a file of the revision, to be written by hand; so is a
function in a file of tables, on which a column depends.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Row, create_engine, make_url, pool

from bots.settings import Settings
from chinwag.cli.migrate import migrate
from chinwag.local.postgres import start_postgres
from migrations import catalog, head

_MIGRATIONS = Path(__file__).parent
#: The form of a function in bots/storage/sql.
_FUNCTION = re.compile(r"^create function (\w+)\(.*?\$\$(.*?)\$\$;", re.MULTILINE | re.DOTALL)
#: Postgres can replace a function whose arguments and result stay the same. Any other is dropped and created again.
_FUNCTIONS = """
    select p.oid::regprocedure::text as signature, p.proname as name, p.prosrc as body, pg_get_functiondef(p.oid) as text,
        concat(pg_get_function_arguments(p.oid), ' ', pg_get_function_result(p.oid)) as shape
    from pg_proc p where p.pronamespace = 'public'::regnamespace and p.prokind in ('f', 'p')
        and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')"""

_TABLES = "tables"
Functions = Mapping[str, Row[Any]]


def write(title: str, before: Connection, after: Connection) -> list[Path]:
    """Write the revision that leads from one database to the other, and return its files: none if the two are equal."""
    script = ScriptDirectory(str(_MIGRATIONS), messaging_opts={"quiet": True})
    revision = f"{int(script.get_current_head() or 0) + 1:04}"
    old, new = _functions(before), _functions(after)
    of_tables = {f"function {signature}" for noun, signature, _ in _sources(new) if noun == _TABLES}
    parts = {_TABLES: _by_hand(before, after, skip=old.keys() ^ new.keys(), keep=of_tables), **_by_noun(old, new)}
    parts = {noun: (up, down) for noun, (up, down) in parts.items() if up}
    if not parts:
        return []
    written: list[Path] = []
    for noun, texts in parts.items():
        for name, text in zip((f"{revision}_{noun}", f"{revision}_{noun}_down"), texts, strict=True):
            written.append(_MIGRATIONS / "sql" / f"{name}.sql")
            written[-1].write_text("\n\n".join(text) + "\n", "utf-8")
    ups = ", ".join(f'"{revision}_{noun}"' for noun in parts)
    downs = ", ".join(f'"{revision}_{noun}_down"' for noun in reversed(parts))
    made = script.generate_revision(revision, title, upgrades=f"functions.run({ups})", downgrades=f"functions.run({downs})")
    assert made is not None
    return [Path(made.path), *written]


def _functions(connection: Connection) -> Functions:
    return {row.signature: row for row in connection.exec_driver_sql(_FUNCTIONS)}


def _sources(functions: Functions) -> Iterator[tuple[str, str, str]]:
    """Each function at head in the order of the files: its file's noun, or `tables`; its signature, its text."""
    by_body = {(row.name, row.body): row.signature for row in functions.values()}
    for file in head.files():
        for found in _FUNCTION.finditer(file.read_text("utf-8")):
            yield file.parent.name if file.parent.name == _TABLES else file.stem, by_body.pop((found[1], found[2])), found[0]
    if by_body:
        raise SystemExit(f"Write it as `create function name(...) ... as $$ ... $$;`: {', '.join(by_body.values())}")


def _by_noun(before: Functions, after: Functions) -> dict[str, tuple[list[str], list[str]]]:
    """The statements up and down, by noun of the file; those that are gone come last."""
    parts: dict[str, tuple[list[str], list[str]]] = {}
    for noun, signature, text in _sources(after):
        old, new = before.get(signature), after[signature]
        if noun == _TABLES:
            continue
        if old is not None and catalog.plain(old.text) == catalog.plain(new.text):
            continue
        up, down = parts.setdefault(noun, ([], []))
        first = [] if old is not None and old.shape == new.shape else [f"drop function {signature};"]
        up += [*(first if old is not None else ()), text.replace("create function", "create or replace function", 1)]
        down += [*first, *([f"{old.text.strip()};"] if old is not None else ())]
    gone = sorted(before.keys() - after.keys())
    return parts | {
        "gone": ([f"drop function {signature};" for signature in gone], [f"{before[signature].text.strip()};" for signature in gone])
    }


def _by_hand(before: Connection, after: Connection, *, skip: set[str], keep: set[str]) -> tuple[list[str], list[str]]:
    """Differences other than functions, but for those to keep, as comments; without rights that come and go with a function."""
    old, new = (
        {
            name: what
            for name, what in catalog.read(connection).items()
            if (name in keep or not name.startswith("function ")) and name.removeprefix("grant ").rsplit(" to ", 1)[0] not in skip
        }
        for connection in (before, after)
    )

    def todo(lines: list[str]) -> list[str]:
        first = "Write here what makes these differences (- before, + afterwards)."
        return ["\n".join(f"-- {' '.join(line.split())}" for line in (first, *lines))] if lines else []

    return todo(catalog.differences(old, new)), todo(catalog.differences(new, old))


def main(title: str) -> None:
    """Write the revision with a temporary Postgres of its own."""
    with tempfile.TemporaryDirectory() as folder:
        postgres = start_postgres(Path(folder) / "postgres")
        try:
            migrate(Settings.from_env({"CHINWAG_OWNER_DATABASE_URL": postgres.owner_url}))
            migrated = create_engine(postgres.owner_url, poolclass=pool.NullPool)
            at_head = create_engine(make_url(postgres.owner_url).set(database="head"), poolclass=pool.NullPool)
            with migrated.connect() as before:
                before.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("create database head")
                with at_head.connect() as after:
                    head.build(after)
                    written = write(title, before, after)
        finally:
            postgres.stop()
    sys.stdout.write(
        "".join(f"{path.relative_to(_MIGRATIONS.parent)}\n" for path in written) or "Nothing differs: no revision is needed.\n"
    )


if __name__ == "__main__":
    if len(sys.argv) != 2 or not sys.argv[1].strip():
        raise SystemExit('What does it do? make revision NAME="an account has a colour"')
    main(sys.argv[1].strip().rstrip("."))
