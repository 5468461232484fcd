"""The exit code of `make test` and of the other suites: what `.ci/run` goes by."""

from __future__ import annotations

import pytest

from tests.run import SUITES, Count, exit_code, main


@pytest.mark.parametrize(
    ("total", "may_be_empty", "code"),
    [
        (Count(passed=3, skipped=1), False, 0),
        (Count(passed=3, failed=1), False, 1),
        (Count(passed=3, failed=1), True, 1),
        (Count(), False, 1),
        (Count(skipped=20), False, 1),
        # No fault takes too long today; vLLM cannot be had on every machine, and then its tests are skipped.
        (Count(), True, 0),
        (Count(skipped=20), True, 0),
        (Count(failed=1), True, 1),
    ],
)
def test_it_is_0_only_when_tests_ran_and_none_failed_or_there_may_be_none(total: Count, may_be_empty: bool, code: int) -> None:
    assert exit_code(total, may_be_empty=may_be_empty) == code


def test_a_suite_that_does_not_exist_is_one_line_and_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nothing"]) == 2
    assert capsys.readouterr().err == f"There is no suite nothing; there are {', '.join(SUITES)}.\n"
