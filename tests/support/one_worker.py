"""A worker in the test's own process, on a database of its own, before model servers that the test plays."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import Any

from bots.storage import endpoints
from bots.storage.database import unit
from tests.support.cluster import Cluster
from tests.support.played_model import PlayedModel, played_model
from tests.support.storage_fixture import QUEUE, StorageFixture, a_message, open_storage
from workers.deps import Deps, build
from workers.turn.reply import reply_one

BATCHES = "batch.default"


class OneWorker:
    """The worker's parts and the model servers of its profile, `first` and `second`."""

    def __init__(self, storage: StorageFixture, deps: Deps, first: PlayedModel, second: PlayedModel) -> None:
        self.storage, self.deps, self.first, self.second = storage, deps, first, second

    def profile(self, *names: str, **traits: Any) -> None:
        """Make the profile of these servers, in order."""
        with unit(self.storage.web) as connection:
            tenant = self.storage.account.tenant_id
            rows = [
                endpoints.add(
                    connection,
                    self.storage.keyring,
                    tenant=tenant,
                    form=endpoints.Form(name=name, url=getattr(self, name).url, model=name, leaves_house=False),
                )
                for name in names
            ]
            endpoints.set_profile(connection, tenant, "default", [(n, row.id) for n, row in enumerate(rows)])
            connection.exec_driver_sql("update endpoints set probe_at = null")

    def say(self, *texts: str) -> None:
        """Let a person say this."""
        self.storage.let_in(*(a_message(text) for text in texts))

    def turn(self) -> dict[str, Any]:
        """Work the next due turn, and return how it stands."""
        assert reply_one(self.deps, QUEUE)
        (row,) = self.storage.rows("select state, reason, asked, answer from turns order by claimed_at desc limit 1")
        return dict(zip(("state", "reason", "asked", "answer"), row, strict=True))

    def ask(self, text: str) -> dict[str, Any]:
        """Say this and work the turn."""
        self.say(text)
        return self.turn()

    def waits_s(self) -> float:
        """How long the one conversation waits from the end of its last turn."""
        return float(self.storage.value("select extract(epoch from ready_at - now()) from conversations"))

    def make_due(self) -> None:
        """Let time pass for turns that wait."""
        self.storage.do("update conversations set ready_at = now(), hold_until = null where hold_until is not null")

    def calls(self) -> list[tuple[Any, ...]]:
        """Endpoint, outcome and tokens of all calls that were recorded."""
        return [
            tuple(row) for row in self.storage.rows("select endpoint, outcome, tokens_out from model_calls order by created_at, attempt")
        ]


@contextmanager
def one_worker(cluster: Cluster, **settings: str) -> Generator[OneWorker]:
    """Start it, and end it afterwards."""
    with ExitStack() as ends:
        database = cluster.database()
        ends.callback(cluster.drop, database)
        first, second = (ends.enter_context(played_model()) for _ in range(2))
        storage = open_storage(cluster, database)
        env = {"CHINWAG_MODEL_URL": first.url, "CHINWAG_GRAPH_URL": "http://127.0.0.1:9", "CHINWAG_OWN_ERROR_DELAYS_S": "0"}
        deps = build(cluster.addresses(database) | env | settings, queues=[QUEUE, BATCHES])
        for engine in (deps.worker, deps.crossing, storage.web, storage.worker, storage.crossing):
            ends.callback(engine.dispose)
        yield OneWorker(storage, deps, first, second)
