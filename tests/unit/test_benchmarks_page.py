"""docs/benchmarks.md is what the results give, and each result says what it asks and how it is measured."""

from __future__ import annotations

import re

import pytest

from bench import page
from tests.support.processes import ROOT

_RESULTS = page.results()


def test_the_page_has_the_results_that_are_kept() -> None:
    assert (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8") == page.page(_RESULTS), "run `python -m bench.page`"


@pytest.mark.parametrize("result", _RESULTS, ids=lambda one: one["bench"])
def test_each_result_says_what_it_asks_how_and_on_what(result: dict[str, object]) -> None:
    heading, asked, measured = page.page([result]).split("\n## ")[1].split("\n\n")[:3]

    assert heading.lower().replace(" ", "_") == result["bench"]
    assert len(asked) > 20
    assert re.match(r"`python -m bench\.\w+[^`]*` · \d+ cores, \d+ GB", measured)


def test_a_text_that_is_long_or_has_a_bar_breaks_no_table() -> None:
    machine = {"cores": 2, "memory_gb": 24, "architecture": "x86_64", "python": "3.11"}
    shown = page.page(
        [{"bench": "parse", "machine": machine, "rows": [{"said": "a | b", "long": "x" * 200, "n": 12345, "share": 0.12345, "none": None}]}]
    )

    assert "| said | n | share | none |" in shown
    assert "| a \\| b | 12,345 | 0.123 |  |" in shown
