"""Every setting is documented where an operator looks for it, with its default and its meaning."""

from __future__ import annotations

from dataclasses import Field, fields
from pathlib import Path
from typing import Any

import pytest

from bots.settings import Settings
from inference.settings import ModelSettings

_PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text("utf-8")
_SETTINGS = [(f"CHINWAG_{field.name.upper()}", field) for field in fields(Settings)] + [
    (f"CHINWAG_MODEL_{field.name.upper()}", field) for field in fields(ModelSettings)
]


def _row(variable: str, field: Field[Any]) -> str:
    default = str(field.default).lower() if isinstance(field.default, bool) else str(field.default)
    return f"| `{variable}` | {f'`{default}`' if default else ''} | {field.metadata['meaning']} |"


@pytest.mark.parametrize(("variable", "field"), _SETTINGS, ids=[variable for variable, _ in _SETTINGS])
def test_a_setting_is_documented_with_its_default_and_meaning(variable: str, field: Field[Any]) -> None:
    assert _row(variable, field) in _PAGE


def test_nothing_is_documented_that_is_no_setting() -> None:
    documented = {line.split("`")[1] for line in _PAGE.splitlines() if line.startswith("| `CHINWAG_")}

    assert documented == {variable for variable, _ in _SETTINGS}
