"""What a worker's calls tell an engine, by whole turns and batch items before a scripted one: hashes and nobody's name, and no word that must stay."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from prometheus_client import REGISTRY

from bots.storage import endpoints
from bots.storage.database import unit
from bots.storage.endpoints import Form
from tests.support.batches import lines, results, submit
from tests.support.cluster import Cluster
from tests.support.model_servers import Scripted, scripted
from tests.support.storage_fixture import QUEUE, StorageFixture, a_message, a_phone, open_storage
from workers.batch import batch_one
from workers.deps import Deps, build
from workers.model_routes import PEOPLE, profile_key
from workers.summarise import summarise_one
from workers.turn.reply import reply_one

_NUMBER = "34600111222"
_BATCHES = "batch.default"


class _Place:
    """A database, worker processes on it, and an engine of four ranks."""

    def __init__(self, cluster: Cluster, database: str, server: Scripted) -> None:
        self.storage, self.server = open_storage(cluster, database), server
        self._env = cluster.addresses(database) | {
            "CHINWAG_MODEL_URL": "http://127.0.0.1:9/v1",
            "CHINWAG_GRAPH_URL": "http://127.0.0.1:9",
            "CHINWAG_OWN_ERROR_DELAYS_S": "0",
        }
        self._built: list[Deps] = []
        self.tenant = self.storage.account.tenant_id
        self.profile = profile_key(self.tenant, "default")

    def worker(self, **settings: str) -> Deps:
        """The parts of another worker process."""
        self._built.append(build(self._env | settings, queues=[QUEUE, _BATCHES]))
        return self._built[-1]

    def connect(self, *, leaves_house: bool = False, name: str = "engine") -> None:
        """Make the profile of the engine."""
        with unit(self.storage.web) as connection:
            form = Form(name=name, url=f"{self.server.url}/v1", model="scripted", leaves_house=leaves_house, price_in=1000, price_out=1000)
            row = endpoints.add(connection, self.storage.keyring, tenant=self.tenant, form=form)
            endpoints.set_profile(connection, self.tenant, "default", [(1, row.id)])
            connection.exec_driver_sql(
                """update endpoints set traits = '{"cache_salt": true, "priority": true, "ranks": 4}', probe_at = null"""
            )

    def bots(self, assignment: str) -> None:
        """Change every bot, as an operator does."""
        with unit(self.storage.web) as connection:
            connection.exec_driver_sql(f"update bots set {assignment}")

    def asked(self) -> list[dict[str, Any]]:
        return self.server.log()

    def end(self) -> None:
        for deps in self._built:
            deps.worker.dispose()
            deps.crossing.dispose()
        for engine in (self.storage.web, self.storage.worker, self.storage.crossing):
            engine.dispose()


@pytest.fixture
def place(cluster: Cluster, tmp_path: Path) -> Iterator[_Place]:
    database = cluster.database()
    with scripted(tmp_path, "--flavour", "vllm", "--ranks", "4", "--policy", "priority") as server:
        opened = _Place(cluster, database, server)
        yield opened
        opened.end()
    cluster.drop(database)


def _says(storage: StorageFixture, text: str) -> None:
    storage.let_in(a_message(text, by=(a_phone(_NUMBER),)))


def _batch(storage: StorageFixture, count: int = 1) -> UUID:
    started = submit(storage.web.execution_options(isolation_level="AUTOCOMMIT"), lines(count))
    assert started.batch is not None
    return started.batch


def test_an_engine_is_told_hashes_that_are_the_same_in_every_process_and_nobodys_name(place: _Place) -> None:
    place.connect()
    one, other = place.worker(), place.worker()
    for deps in (one, other):
        _says(place.storage, "good morning")
        assert reply_one(deps, QUEUE)
    batch = _batch(place.storage)
    assert batch_one(other, _BATCHES)
    first, second, item = place.asked()
    conversation, contact = place.storage.rows("select id, contact_id from conversations")[0]

    # The same rank and the same salt again, however often and wherever it is asked.
    assert first["rank"] == second["rank"] == int(first["headers"]["x-data-parallel-rank"])
    assert "x-data-parallel-rank" not in item["headers"]
    assert len({asked["request"]["cache_salt"] for asked in (first, second, item)}) == 1
    assert re.fullmatch(r"[0-9a-f]{32}", item["request"]["cache_salt"])
    assert [asked["request"].get("priority", 0) for asked in (first, second, item)] == [0, 0, 10]
    told = json.dumps(place.asked())
    for one_id in (place.tenant, conversation, contact, place.storage.account.id, place.storage.account.bot_id, batch):
        assert str(one_id) not in told
        assert one_id.hex not in told
    assert _NUMBER not in told
    assert place.storage.account.external_id not in told


def test_another_tenant_and_another_service_have_other_salts_and_each_conversation_its_own_rank(place: _Place) -> None:
    routes, again = place.worker().routes, place.worker().routes
    tenants = [place.tenant, *(uuid4() for _ in range(9))]
    conversations = [uuid4() for _ in range(64)]
    hints = [routes.hints(tenant, priority=PEOPLE, affinity=routes.affinity(conversations[0])) for tenant in tenants]

    assert len({one.cache_salt for one in hints}) == len(tenants)
    assert hints == [again.hints(tenant, priority=PEOPLE, affinity=again.affinity(conversations[0])) for tenant in tenants]
    ranks = [(routes.hints(place.tenant, priority=PEOPLE, affinity=routes.affinity(one)).affinity or 0) % 4 for one in conversations]
    assert set(ranks) == {0, 1, 2, 3}
    assert all(one.bytes not in routes.affinity(one) for one in conversations)


def test_words_of_batches_and_summaries_stay_in_the_house_until_the_bot_lets_them_leave(place: _Place) -> None:
    place.connect(leaves_house=True)
    deps = place.worker()
    place.storage.let_in(a_message("figs"))
    place.storage.answered(asked="figs", answer="yes")
    batch = _batch(place.storage, 2)
    assert batch_one(deps, _BATCHES)
    _due_to_be_summarised(place.storage)
    assert summarise_one(deps, _BATCHES)
    assert place.asked() == []

    place.bots("data_may_leave = true")
    deps = place.worker()
    _due_to_be_summarised(place.storage)
    assert summarise_one(deps, _BATCHES)
    assert batch_one(deps, _BATCHES)

    assert len(place.asked()) == 2
    assert [one["error"] is not None for one in results(place.storage.web, batch)] == [True, False]


def _due_to_be_summarised(storage: StorageFixture) -> None:
    storage.do("update conversations set summarise_at = now(), summarise_to = 1")


@pytest.mark.parametrize(
    ("behaviour", "outcome"),
    [({"mode": "hang_midway"}, "ModelUnavailable"), ({"answer": "word " * 200, "word_s": 0.05}, "cut")],
    ids=["silent", "slow"],
)
def test_an_answer_that_broke_off_is_paid_for_by_an_estimate(place: _Place, behaviour: dict[str, Any], outcome: str) -> None:
    place.connect()
    place.server.script(**behaviour)
    deps = place.worker(CHINWAG_MODEL_SILENCE_S="0.5", CHINWAG_MODEL_TOTAL_S="2")
    _says(place.storage, "good morning")
    assert reply_one(deps, QUEUE)
    (call,) = place.storage.rows("select outcome, tokens_in, tokens_out, cost from model_calls")

    assert call.outcome == outcome
    # The prices are a thousand dollars for a million tokens.
    assert call.cost == pytest.approx((call.tokens_in + call.tokens_out) / 1000)
    assert min(call.tokens_in, call.tokens_out) > 0


def test_a_turn_whose_budget_is_used_up_asks_no_model_and_is_counted(place: _Place) -> None:
    place.connect()
    deps = place.worker()
    _says(place.storage, "good morning")
    assert reply_one(deps, QUEUE)
    place.bots("budget_contact_day = 0.000001")
    deps = place.worker()
    before = _refused()
    _says(place.storage, "and then?")
    assert reply_one(deps, QUEUE)

    assert len(place.asked()) == 1
    assert _refused() == before + 1


def _refused() -> float:
    return REGISTRY.get_sample_value("chinwag_budget_refused_total", {"budget": "contact_day"}) or 0.0


def test_what_a_probe_notes_drops_no_counts_of_tokens_and_a_price_only_its_own_endpoints(place: _Place) -> None:
    place.connect()
    routes = place.worker().routes
    before = routes.counter(place.profile, may_leave=False)
    home = routes.counter("nobody/described", may_leave=False)
    for change in ("notes = '[\"slow\"]', probed_at = now(), probe_at = now()", "price_in = 7"):
        with unit(place.storage.web) as connection:
            connection.exec_driver_sql(f"update endpoints set {change}")
        routes.refresh()
        after = routes.counter(place.profile, may_leave=False)

        assert (after == before) is (change != "price_in = 7")
        assert routes.counter("nobody/described", may_leave=False) == home
