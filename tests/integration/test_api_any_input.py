"""The admin API under everything that its own OpenAPI document allows, and more: never an error of ours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import schemathesis

from bots.domain import Role
from tests.conftest import SEED
from tests.support.cluster import Cluster
from tests.support.operators import a_token
from tests.support.stack import Stack


@pytest.fixture(scope="module")
def served(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(cluster, Path(tmp_path_factory.mktemp("api"))) as running:
        running.settles = False
        running.start_web()
        yield running


@pytest.mark.slow
def test_no_input_makes_the_api_answer_with_an_error_of_ours(served: Stack) -> None:
    headers = {"Authorization": f"Bearer {a_token(served, Role.OWNER)}"}
    document = served.http.get("/openapi.json", headers=headers).json()
    operations = [found.ok() for found in schemathesis.openapi.from_dict(document).get_all_operations()]
    failures: list[str] = []
    for operation in operations:
        for mode in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE):
            try:
                _ask(served, headers, operation, mode)
            except AssertionError as error:
                failures.append(f"{operation.label}: {error}")
            except hypothesis.errors.Unsatisfiable:
                # An operation without parameters has no wrong ones.
                continue

    assert failures == []
    assert len(operations) > 30


def _ask(served: Stack, headers: dict[str, str], operation: Any, mode: schemathesis.GenerationMode) -> None:
    @hypothesis.seed(SEED)
    @hypothesis.settings(max_examples=12, database=None, suppress_health_check=list(hypothesis.HealthCheck))
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case) -> None:
        answer = case.call(base_url=served.web_url, headers=headers, timeout=20)
        assert answer.status_code < 500, f"{case.method} {case.path}: {answer.status_code}"

    ask()
