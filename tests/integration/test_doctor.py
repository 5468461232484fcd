"""`chinwag doctor` against a database: what it says of the models that an operator has connected."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chinwag.cli import build
from tests.support.cluster import Cluster
from tests.support.stack import Stack


@pytest.fixture
def stack(cluster: Cluster, tmp_path: Path) -> Iterator[Stack]:
    with Stack(cluster, tmp_path) as running:
        running.settles = False
        yield running


def _run(stack: Stack, *arguments: str) -> str:
    nothing: dict[str, str | None] = {name: None for name in os.environ if name.startswith(("CHINWAG_", "MODEL"))}
    return CliRunner().invoke(build(arguments[0]), arguments, env=nothing | stack.env).output


@pytest.mark.parametrize("model", ["llama-4-scout", "meta.llama4-scout-17b-instruct-v1:0"])
def test_a_connected_model_without_a_licence_in_the_eu_is_told(stack: Stack, model: str) -> None:
    before = _run(stack, "doctor")
    _run(stack, "endpoint", "add", "gpu-1", "--url", "http://127.0.0.1:8000/v1", "--model", model, "--stays")
    after = _run(stack, "doctor")

    assert "Licence" not in before
    assert "note  Licence     The Llama 4 Community License" in after
    assert "Permitted there: deepseek-v3, mistral-small-3.1, gemma-3-27b." in after
