"""`chinwag model reembed`: every turn gets a vector of the present model, and a run that broke off goes on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from typer.testing import CliRunner

from bots.storage import episodes
from chinwag.cli import build
from tests.support.cluster import Cluster
from tests.support.model_servers import Scripted, scripted
from tests.support.recalling import a_contact, say, settle
from tests.support.storage_fixture import StorageFixture, open_storage


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripted]:
    with scripted(tmp_path_factory.mktemp("embed"), "--flavour", "vllm", "--dimensions", "64") as model:
        yield model


def _run(addresses: dict[str, str], **more: str) -> tuple[int, str]:
    env: dict[str, str | None] = {name: None for name in os.environ if name.startswith("CHINWAG_")} | addresses | more
    done = CliRunner().invoke(build("model"), ["model", "reembed"], env=env)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def _models(storage: StorageFixture) -> list[tuple[str | None, int]]:
    tables = "(select embedder from episodes union all select embedder from fresh_episodes)"
    return [
        tuple(row)
        for row in storage.rows(f"select model, count(*) from {tables} e left join embedders on id = embedder group by 1 order by 1")
    ]


def test_all_turns_get_the_new_models_vectors_and_a_run_that_broke_off_goes_on(cluster: Cluster, server: Scripted) -> None:
    database = cluster.database()
    storage, addresses = open_storage(cluster, database), cluster.addresses(database)
    for _ in range(3):
        _, conversation = a_contact(storage)
        for n in range(1, 13):
            say(storage, conversation, f"turn {n}", number=n, at=datetime.now(UTC) - timedelta(days=n))
    settle(storage, {})
    ours = {"CHINWAG_EMBED_URL": f"{server.url}/v1", "CHINWAG_EMBED_MODEL": "new", "CHINWAG_EMBED_PREFIXES": "none"}

    assert _run(addresses) == (2, "there is no embedder: set CHINWAG_EMBED_URL\n")
    begun = episodes.stale(storage.crossing, after=UUID(int=0), model="new", most=32)
    assert begun is not None
    episodes.embed_again(storage.crossing, begun, model="new", vectors=[(0.0, 1.0)] * 12)
    server.script(mode="error500")
    code, said = _run(addresses, **ours)
    assert code == 2
    assert "0 of 24 turns have their vectors; run this again to go on" in said
    assert _models(storage) == [("new", 12), ("three", 24)]
    server.reset()
    assert _run(addresses, **ours) == (0, "24 turns have vectors of new now.\n")
    assert _models(storage) == [("new", 36)]
    assert _run(addresses, **ours) == (0, "0 turns have vectors of new now.\n")
    for engine in (storage.web, storage.worker, storage.crossing):
        engine.dispose()
    cluster.drop(database)
