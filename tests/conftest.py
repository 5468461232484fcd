"""What holds in every test: one printed seed, sockets that reach loopback only, and the shared servers."""

from __future__ import annotations

import ipaddress
import os
import random
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tests.support import memory
from tests.support.cluster import Cluster, Database
from tests.support.seed import the_seed
from tests.support.stack import Stack

SEED = the_seed(os.environ)

# Times are noise on a machine where other tests run beside: the first letters alone take a second where Hypothesis has kept no table of them yet.
hypothesis.settings.register_profile("untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("untimed")


def pytest_configure(config: pytest.Config) -> None:
    """Drive the order of the tests by the same seed, unless the caller chose one with -p."""
    if getattr(config.option, "randomly_seed", None) in (None, "default"):
        config.option.randomly_seed = SEED


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the modules of slow tests: of two processes none works on one alone at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_report_header() -> str:
    """Print the seed: `SEED=n` repeats the run."""
    return f"seed: {SEED} (repeat with SEED={SEED})"


class _BeyondLoopback(AssertionError):
    """A test tried to reach past this machine."""


@pytest.fixture(autouse=True, scope="session")
def _loopback_only() -> Iterator[None]:
    """Refuse every connection of the test process that leaves loopback."""
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def check(sock: socket.socket, address: Any) -> None:
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            host = str(address[0])
            try:
                inside = host == "localhost" or ipaddress.ip_address(host.split("%", maxsplit=1)[0]).is_loopback
            except ValueError:
                inside = False
            if not inside:
                raise _BeyondLoopback(f"tests reach loopback only, not {host}")

    class Loopback(socket.socket):
        """A socket that stays on this machine."""

        def connect(self, address: Any) -> None:
            check(self, address)
            connect(self, address)

        def connect_ex(self, address: Any) -> int:
            check(self, address)
            return connect_ex(self, address)

    before = socket.socket
    socket.socket = Loopback  # type: ignore[misc]  # the standard library's, not ours: there is no parameter for this
    yield
    socket.socket = before  # type: ignore[misc]  # as above


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> random.Random:
    """One stream of chance a test, from the run's seed and the test's name."""
    return random.Random(f"{SEED}:{request.node.nodeid}")


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Embedded Postgres, with a migrated database to copy from."""
    with memory.folder(otherwise=tmp_path_factory.getbasetemp()) as folder, Cluster(folder, as_shipped=False) as running:
        yield running


@pytest.fixture
def stack(cluster: Cluster, tmp_path: Path) -> Iterator[Stack]:
    """A fresh database, Redis, fake platform and scripted model; the test starts web and workers. Invariants hold afterwards."""
    with Stack(cluster, tmp_path) as running:
        yield running
        running.check()


@pytest.fixture
def database(cluster: Cluster) -> Iterator[Database]:
    """A fresh, migrated database without any process around it."""
    name = cluster.database()
    yield Database(cluster, name)
    cluster.drop(name)
