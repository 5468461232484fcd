"""docs/benchmarks.md is what the results give, and each result says what it asks and how it is measured."""

from __future__ import annotations

import re

import pytest

from bench import __main__ as benches
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


def test_each_bench_that_keeps_a_result_can_be_named_and_runs_unless_it_needs_other_programs() -> None:
    kept = {
        path.stem
        for path in (ROOT / "bench").glob("*.py")
        if re.search(rf'report\.keep\(\s*"{path.stem}"', path.read_text(encoding="utf-8"))
    }

    # The result of told_facts may have another name.
    assert {*benches.BENCHES, *benches.NAMED} == kept | {"peers", "told_facts"}


_MACHINE = {"cores": 2, "memory_gb": 24, "architecture": "x86_64", "python": "3.11"}


def test_figures_by_name_are_shown_and_what_has_more_in_it_is_not() -> None:
    shown = page.page(
        [
            {
                "bench": "parse",
                "machine": _MACHINE,
                "rows": [{"way": "in place", "answers": {"200": 780, "503": 1200}, "rounds": [1, 2]}],
                "ratios": {"p99 to one insert": {"median": 1.5, "least": 1.25}},
                "aims_ms": {"p50": 150.0},
                "peers": {"n8n": {"bursts": [{"per_s": 1}]}},
            }
        ]
    )

    assert "| way | answers |\n| --- | --- |\n| in place | 200: 780, 503: 1,200 |" in shown
    assert "**ratios**\n\n|  | median | least |\n| --- | --- | --- |\n| p99 to one insert | 1.5 | 1.25 |" in shown
    assert "aims ms p50: 150" in shown
    assert "n8n" not in shown


def test_a_text_that_is_long_or_has_a_bar_breaks_no_table() -> None:
    shown = page.page(
        [
            {
                "bench": "parse",
                "machine": _MACHINE,
                "rows": [{"said": "a | b", "long": "x" * 200, "n": 12345, "share": 0.12345, "none": None}],
            }
        ]
    )

    assert "| said | n | share | none |" in shown
    assert "| a \\| b | 12,345 | 0.123 |  |" in shown
