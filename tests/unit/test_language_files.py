"""What the rule files of all languages must keep to, whoever edits them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from bots.extract.cues import is_relative

_FOLDER = Path(__file__).parents[2] / "bots" / "extract" / "languages"
_FILES: dict[str, dict[str, Any]] = {path.stem: tomllib.loads(path.read_text("utf-8")) for path in sorted(_FOLDER.glob("*.toml"))}
_SLOT = re.compile(r"<(\w+)>")
#: Shapes of values that a list decides about.
_NEEDS_A_LIST = {"event", "listed"}


@pytest.mark.parametrize("code", sorted(_FILES))
def test_every_list_word_that_a_rule_stores_stands_in_each_of_its_patterns(code: str) -> None:
    missing = [
        (rule.get("kind"), slot, pattern)
        for rule in _FILES[code].get("rule", ())
        for key in ("as", "topic", "ends_as")
        for slot in _SLOT.findall(str(rule.get(key, "")))
        if slot != "before"
        for pattern in rule["patterns"]
        if f"<{slot}>" not in pattern
    ]

    assert missing == []


@pytest.mark.parametrize("code", sorted(_FILES))
def test_every_value_that_is_told_by_a_list_names_one(code: str) -> None:
    values: dict[str, dict[str, Any]] = _FILES[code].get("values", {})

    assert [name for name, value in values.items() if value["shape"] in _NEEDS_A_LIST and value.get("list") not in _FILES[code]] == []


@pytest.mark.parametrize("code", sorted(_FILES))
def test_every_ending_that_a_pattern_names_is_in_the_file(code: str) -> None:
    endings: dict[str, Any] = _FILES[code].get("endings", {})
    named = {
        ending for rule in _FILES[code].get("rule", ()) for pattern in rule["patterns"] for ending in re.findall(r"\{\w*~(\w+)\}", pattern)
    }

    assert named - set(endings) == set()


@pytest.mark.parametrize("code", sorted(code for code, table in _FILES.items() if "close" in table))
def test_who_is_stored_with_what_concerns_them_is_known_as_a_relative(code: str) -> None:
    stored = {entry.partition(">")[2] or entry.lstrip("=") for entry in _FILES[code]["close"] if not entry.startswith("<")}

    assert sorted(word for word in stored if not is_relative(word.split()[0])) == []
