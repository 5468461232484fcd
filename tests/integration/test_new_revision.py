"""A new revision takes the text of functions from the files at head, both ways."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from migrations import catalog, head
from tests.support.cluster import Cluster, Database

_ROOT = Path(__file__).parents[2]
_COPIED = ("alembic.ini", "bots", "chinwag", "inference", "wire", "workers", "migrations")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what migrations need, to be changed."""
    for name in _COPIED:
        copy = shutil.copytree if (_ROOT / name).is_dir() else shutil.copy
        copy(_ROOT / name, tmp_path / name)
    return tmp_path


def _run(checkout: Path, *arguments: str, database: Database | None = None) -> str:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("CHINWAG_", "PYTHON"))}
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=checkout,
        env={**env, **(database.env if database else {}), "PYTHONWARNINGS": "error"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _change(file: Path, before: str, after: str) -> None:
    text = file.read_text("utf-8")
    assert before in text
    file.write_text(text.replace(before, after, 1), "utf-8")


def _schema(database: Database) -> catalog.Schema:
    with database.engine().connect() as connection:
        return catalog.read(connection)


def _built(cluster: Cluster, sql: Path) -> catalog.Schema:
    with cluster.engine("postgres").connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("create database changed template template0")
    with cluster.engine("changed").connect() as connection:
        head.build(connection, sql)
        found = catalog.read(connection)
    cluster.drop("changed")
    return found


def test_a_new_revision_leads_to_the_changed_files_and_back(cluster: Cluster, database: Database, checkout: Path) -> None:
    sql, migrations, before = checkout / "bots/storage/sql", checkout / "migrations", _schema(database)
    # Changed in its body, with a text that looks like a parameter; in its result; gone; new; and a comment alone.
    _change(sql / "send.sql", "and p_code is not null", "and p_code is not null or p_trace = '{\"a\":1} 100%'")
    _change(sql / "housekeeping.sql", "create function keep_batches() returns integer", "create function keep_batches() returns bigint")
    usage = (sql / "usage.sql").read_text("utf-8")
    start = usage.index("-- What one contact's answers cost today")
    (sql / "usage.sql").write_text(usage[:start] + usage[usage.index("-- What one bot's answers", start) :], "utf-8")
    with (sql / "route.sql").open("a", encoding="utf-8") as file:
        file.write("\n-- Two.\ncreate function two() returns integer language sql as $$\n    select 2 -- not 1\n$$;\n")
    # A column depends on it, so it is written by hand.
    _change(sql / "tables/memories.sql", "then lower(p_text) else", "then lower(p_text || '') else")
    _change(sql / "claim.sql", "-- A lease that has run out", "-- Once a lease has run out it")
    _change(sql / "tables/accounts.sql", "    time_zone text,\n", "    time_zone text,\n    colour text,\n")

    made = _run(checkout, "migrations.new", "A bot has a colour").split()
    revision = max(path.name[:4] for path in (migrations / "versions").glob("0*.py"))

    assert sorted(made) == sorted([
        f"migrations/versions/{revision}_a_bot_has_a_colour.py",
        *(f"migrations/sql/{revision}_{noun}{way}.sql" for noun in ("gone", "housekeeping", "route", "send", "tables") for way in ("", "_down")),
    ])  # fmt: skip
    by_hand = (migrations / f"sql/{revision}_tables.sql").read_text("utf-8")
    assert "-- + column bots.colour: text position 19" in by_hand
    assert "-- + function letters_of(text)" in by_hand
    # What is no function is written by hand, and so is a function on which a column depends.
    for way, change, file in (("", "add column colour text", sql), ("_down", "drop column colour", _ROOT / "bots/storage/sql")):
        memories = (file / "tables/memories.sql").read_text("utf-8")
        letters = memories[memories.index("create function letters_of") : memories.index("-- The words of a text")]
        (migrations / f"sql/{revision}_tables{way}.sql").write_text(
            f"alter table bots {change};\n{letters.replace('create function', 'create or replace function')}", "utf-8"
        )
    _run(checkout, "alembic", "upgrade", "head", database=database)
    assert catalog.differences(_built(cluster, sql), _schema(database)) == []
    _run(checkout, "alembic", "downgrade", "-1", database=database)
    assert catalog.differences(before, _schema(database)) == []
