"""What lives after two messages in German, Turkish, Hindi, Arabic and Indonesian, as the rules read them: tests/corpus/supersession.toml."""

from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path

import pytest

from bots.extract import extract
from tests.support.remembering import living, minutes, said
from tests.support.storage_fixture import StorageFixture

_TABLE: dict[str, list[list[str]]] = tomllib.loads((Path(__file__).parents[1] / "corpus" / "supersession.toml").read_text("utf-8"))
_PAIRS = [pytest.param(pair, id=f"{code}: {pair[1]!a}") for code, pairs in _TABLE.items() for pair in pairs]
#: The corpus was written on a Monday.
_TODAY = date(2026, 11, 30)


@pytest.mark.parametrize("pair", _PAIRS)
def test_the_second_message_leaves_what_its_row_says(storage: StorageFixture, pair: list[str]) -> None:
    for at, text in enumerate(pair[:2]):
        read = extract(text, today=_TODAY)
        said(storage, text, facts=read.facts, ends=read.ends, at=minutes(at))

    assert {f"{kind}: {text}" for kind, text in living(storage)} == set(pair[2:])


@pytest.mark.parametrize("code", sorted(_TABLE))
def test_each_language_has_ten_pairs(code: str) -> None:
    assert len(_TABLE[code]) >= 10
