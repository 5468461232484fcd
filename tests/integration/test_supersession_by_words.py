"""What is remembered of two messages of one person, from their words on: tests/corpus/supersession.toml, in ten languages."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bots.extract import extract
from bots.storage.turns import NewEnd
from tests.support.remembering import new_fact
from tests.support.storage_fixture import StorageFixture, a_message

_TABLE = tomllib.loads((Path(__file__).parents[1] / "corpus" / "supersession.toml").read_text("utf-8"))


@pytest.mark.parametrize("row", _TABLE["rows"], ids=lambda row: f"{row[0]}: {row[1]!a} {row[2]!a}")
def test_the_second_message_leaves_what_its_row_says(storage: StorageFixture, row: list[str]) -> None:
    _, first, second, *lives = row
    for words in (first, second):
        storage.let_in(a_message(words))
        claim = storage.claimed()
        source = claim.messages[-1].id
        stated = extract(words, today=datetime.now(UTC).date())
        storage.finish(claim, facts=[new_fact(one, source) for one in stated.facts], ends=[NewEnd.said(end, source) for end in stated.ends])

    assert sorted(f"{row.kind}: {row.text}" for row in storage.rows("select kind, text from memories where valid_to is null")) == sorted(
        lives
    )
