"""What a second message leaves of the first, from their words to the memories: tests/corpus/ends/XX.toml."""

from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path

import pytest

from bots.extract import extract
from tests.support.remembering import living, minutes, said
from tests.support.storage_fixture import StorageFixture

_FOLDER = Path(__file__).parents[1] / "corpus" / "ends"
_PAIRS = [
    pytest.param(row, id=f"{path.stem}: {row[1]!a}")
    for path in sorted(_FOLDER.glob("*.toml"))
    for row in tomllib.loads(path.read_text("utf-8"))["rows"]
]
#: The corpus was written on a Monday.
_TODAY = date(2026, 11, 30)


@pytest.mark.parametrize("row", _PAIRS)
def test_a_second_message_leaves_of_the_first_what_still_holds(storage: StorageFixture, row: list[str]) -> None:
    first, second, *lives = row
    before, after = extract(first, today=_TODAY), extract(second, today=_TODAY)
    said(storage, first, facts=before.facts, ends=before.ends, at=minutes(0))
    assert living(storage)

    said(storage, second, facts=after.facts, ends=after.ends, at=minutes(1))

    assert {f"{kind}: {text}" for kind, text in living(storage)} == set(lives)
