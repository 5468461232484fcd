"""A worker's measuring, against scripted servers and a real database: its own endpoint, and what comes of a server that was full."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bots.storage import endpoints
from bots.storage.database import unit
from bots.storage.endpoints import EndpointRow, Form
from inference.types import Traits
from tests.support.cluster import Cluster
from tests.support.model_servers import Scripted, scripted
from tests.support.processes import until
from tests.support.storage_fixture import StorageFixture, open_storage
from workers.deps import Deps, build
from workers.probes import Probes

#: A test hardly waits for another try, or sees that there is none yet.
_SOON, _LATER = 1.0, 600.0
_VLLM = Traits(
    context=8192, json_schema=True, parses_tokens=False, vision=True, priority=True, cache_salt=True, stream_interval=True, ranks=2
)


class _Place:
    """A database, and the workers on it."""

    def __init__(self, cluster: Cluster, storage: StorageFixture, database: str) -> None:
        self.storage, self._cluster, self._database = storage, cluster, database
        self._built: list[Deps] = []

    def worker(self, url: str, **settings: str) -> Deps:
        """The parts of a worker whose own endpoint is there."""
        env = {"CHINWAG_MODEL_URL": f"{url}/v1", "CHINWAG_MODEL_NAME": "scripted"} | settings
        deps = build(self._cluster.addresses(self._database) | env)
        self._built.append(deps)
        return deps

    def connect(self, url: str) -> None:
        """Connect an endpoint."""
        with unit(self.storage.web) as connection:
            form = Form(name="there", url=f"{url}/v1", model="scripted", leaves_house=False)
            endpoints.add(connection, self.storage.keyring, tenant=self.storage.account.tenant_id, form=form)

    def probe_again(self) -> None:
        """Ask for another probe, as an operator does."""
        with unit(self.storage.web) as connection:
            endpoints.ask_probe(connection, tenant=self.storage.account.tenant_id, name="there")

    def row(self) -> EndpointRow:
        """The endpoint as it is kept."""
        with unit(self.storage.web) as connection:
            row = endpoints.get(connection, tenant=self.storage.account.tenant_id, name="there")
        assert row is not None
        return row

    def end(self) -> None:
        """Close what the workers hold."""
        for deps in self._built:
            deps.worker.dispose()
            deps.crossing.dispose()


@pytest.fixture
def place(cluster: Cluster) -> Iterator[_Place]:
    database = cluster.database()
    storage = open_storage(cluster, database)
    opened = _Place(cluster, storage, database)
    yield opened
    opened.end()
    for engine in (storage.web, storage.worker, storage.crossing):
        engine.dispose()
    cluster.drop(database)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Scripted]:
    with scripted(tmp_path, "--tokens", "pieces", "--flavour", "vllm", "--vision", "--ranks", "2") as running:
        yield running


@pytest.mark.parametrize("first", ["false", "true"])
def test_the_environments_endpoint_is_measured_by_a_plain_worker_and_by_one_with_an_engine(
    place: _Place, server: Scripted, first: str
) -> None:
    deps = place.worker(server.url, CHINWAG_MODEL_FIRST=first)

    Probes(deps).once()

    assert deps.router.default_endpoint.traits == _VLLM


def test_an_operator_may_spare_the_environments_endpoint_its_questions(place: _Place, server: Scripted) -> None:
    deps = place.worker(server.url, CHINWAG_MODEL_MEASURE="false")

    Probes(deps).once()

    assert (deps.router.default_endpoint.traits, server.log()) == (Traits(), [])


@pytest.mark.parametrize("mode", ["busy429", "down503", "error401"])
def test_an_own_endpoint_that_could_not_be_measured_is_measured_again(place: _Place, server: Scripted, mode: str) -> None:
    deps = place.worker(server.url)
    probes = Probes(deps, again_s=_SOON)
    server.script(mode=mode)
    probes.once()
    assert deps.router.default_endpoint.traits == Traits()

    server.reset()
    until(lambda: probes.once() or deps.router.default_endpoint.traits == _VLLM, what="it was measured again", timeout_s=20)
    server.clear_log()
    probes.once()

    assert server.log() == []


def test_a_failure_is_not_tried_again_at_each_look(place: _Place, server: Scripted) -> None:
    probes = Probes(place.worker(server.url), again_s=_LATER)
    server.script(mode="error500")
    probes.once()
    server.clear_log()

    probes.once()

    assert server.log() == []


def test_a_server_that_was_full_keeps_what_was_known_and_is_measured_again(place: _Place, server: Scripted) -> None:
    probes = Probes(place.worker(server.url, CHINWAG_MODEL_MEASURE="false"), again_s=_SOON)
    place.connect(server.url)
    probes.once()
    known = place.row().traits
    # In the middle of the next one it is full.
    server.script(times=6)
    server.script(mode="busy429")
    place.probe_again()
    probes.once()
    full = place.row()
    server.reset()
    until(lambda: probes.once() or place.row().probe_at is None, what="it was measured to the end", timeout_s=20)

    assert (known["cache_salt"], known["vision"], known["ranks"]) == (True, True, 2)
    assert full.traits == known
    assert full.probe_at is not None
    assert "the server was full, so these were not measured" in full.notes[-1]
    assert place.row().traits == known
    assert [note for note in place.row().notes if "not measured" in note] == []


def test_a_failure_that_may_pass_is_tried_again_and_one_that_waits_for_an_operator_is_not(place: _Place, server: Scripted) -> None:
    probes = Probes(place.worker(server.url, CHINWAG_MODEL_MEASURE="false"), again_s=_LATER)
    place.connect(server.url)
    server.script(mode="error500")
    probes.once()
    passing = place.row()
    server.script(mode="error401")
    place.probe_again()
    probes.once()

    assert (passing.traits, passing.probe_at is None) == ({}, False)
    assert place.row().probe_at is None
    assert "denies access" in place.row().notes[0]
