"""`chinwag model embeddings`: an endpoint's vectors against the columns of a real database."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from bots.storage import vectors
from chinwag.cli import build
from tests.support.cluster import Cluster
from tests.support.model_servers import Scripted, scripted
from tests.support.stack import Stack


@pytest.fixture(scope="module")
def stack(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(cluster, Path(tmp_path_factory.mktemp("embeddings-command"))) as running:
        running.settles = False
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripted]:
    with scripted(tmp_path_factory.mktemp("embed"), "--flavour", "vllm", "--dimensions", "64") as model:
        yield model


def _run(stack: Stack, url: str) -> tuple[int, str]:
    env: dict[str, str | None] = {name: None for name in os.environ if name.startswith("CHINWAG_")} | stack.env
    done = CliRunner().invoke(build("model"), ["model", "embeddings", "--url", url, "--model", "m"], env=env)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def _keep(stack: Stack, column: str) -> None:
    with stack.owner.begin() as connection:
        connection.execute(text("create extension if not exists vector"))
        connection.execute(text("drop table if exists kept"))
        connection.execute(text(f"create table kept (vector {column})"))


def test_a_database_without_vectors_takes_any_length_and_one_with_them_its_own_alone(stack: Stack, server: Scripted) -> None:
    assert _run(stack, f"{server.url}/v1") == (
        0,
        "Vectors              64 numbers each\nDatabase             takes vectors of any length\n",
    )

    _keep(stack, "vector(64)")
    assert _run(stack, f"{server.url}/v1") == (0, "Vectors              64 numbers each\nkept.vector          64, the same\n")

    _keep(stack, "halfvec(384)")
    with stack.owner.begin() as connection:
        assert vectors.columns(connection) == [vectors.VectorColumn(table="kept", column="vector", dimensions=384)]
    code, said = _run(stack, f"{server.url}/v1")
    assert code == 2
    assert said.splitlines()[-1].startswith(
        "the embedding model m gives vectors of 64 numbers, but the database has 384: use another model"
    )


@pytest.mark.parametrize(
    ("url", "why"),
    [("nowhere", "--url needs an address like"), ("http://127.0.0.1:9/v1", "the embedding server cannot be reached or broke off")],
)
def test_what_cannot_be_asked_is_one_line(stack: Stack, url: str, why: str) -> None:
    code, said = _run(stack, url)

    assert code == 2
    assert said.startswith(why)
    assert said.count("\n") == 1
