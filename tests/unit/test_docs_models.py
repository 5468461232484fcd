"""The table of models for MODEL= in docs/operations.md says what their files say."""

from __future__ import annotations

from pathlib import Path

import pytest

from chinwag.local.choices import choices

_PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text("utf-8")
_ROWS = {
    cells[0].strip("` "): cells[1:]
    for line in _PAGE.splitlines()
    if line.startswith("| `") and len(cells := line.strip("| ").split(" | ")) == 5
}


@pytest.mark.parametrize("word", [word for word in choices() if word != "tiny"])
def test_a_model_is_told_with_its_size_memory_speed_and_licence(word: str) -> None:
    choice = choices()[word]
    _, sizes, speed, licence = _ROWS[word]

    assert sizes == f"{choice.size / 1e9:.1f} GB, {choice.memory_gb:g} GB"
    assert speed.removesuffix(", estimated") == f"{choice.tokens_s:g}"
    assert speed.endswith(", estimated") == ("speed estimated" in choice.source)
    assert licence == choice.licence
