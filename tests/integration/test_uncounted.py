"""A server that never counts its tokens, or counts what cannot be: its answers are paid for all the same, and budgets end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from bots.storage import endpoints, usage
from bots.storage.database import unit
from bots.storage.endpoints import Form
from chinwag.compare.replay import Asking, replay
from chinwag.compare.talks import Turn
from inference.client import Breaker, ModelClient
from inference.types import Message, Price, Timeouts
from tests.support.batches import lines, results, submit
from tests.support.cluster import Cluster
from tests.support.model_servers import Scripted, scripted
from tests.support.storage_fixture import QUEUE, StorageFixture, a_message, a_phone, open_storage
from workers.batch import batch_one
from workers.deps import Deps, build
from workers.summarise import summarise_one
from workers.turn.reply import reply_one

_BATCHES = "batch.default"
#: USD for a million tokens: so dear that one answer costs cents.
_PRICE = {"price_in": 1000.0, "price_cached": 100.0, "price_out": 2000.0}
_UNCOUNTED: list[dict[str, Any]] = [
    {},
    {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    {"prompt_tokens": None, "completion_tokens": None},
    {"prompt_tokens": -5, "completion_tokens": -1, "prompt_tokens_details": {"cached_tokens": -7}},
    {"prompt_tokens": 2**63, "completion_tokens": 2**63, "prompt_tokens_details": {"cached_tokens": 2**63}},
]


class _House:
    """A database, a scripted server with a price, and a worker process."""

    def __init__(self, cluster: Cluster, database: str, server: Scripted) -> None:
        self.storage, self.server = open_storage(cluster, database), server
        env = cluster.addresses(database) | {
            "CHINWAG_MODEL_URL": "http://127.0.0.1:9/v1",
            "CHINWAG_GRAPH_URL": "http://127.0.0.1:9",
            "CHINWAG_OWN_ERROR_DELAYS_S": "0",
        }
        with unit(self.storage.web) as connection:
            form = Form(name="priced", url=f"{server.url}/v1", model="scripted", leaves_house=False, **_PRICE)
            row = endpoints.add(connection, self.storage.keyring, tenant=self.storage.account.tenant_id, form=form)
            endpoints.set_profile(connection, self.storage.account.tenant_id, "default", [(1, row.id)])
            connection.exec_driver_sql("update endpoints set probe_at = null")
        self._build = lambda: build(env, queues=[QUEUE, _BATCHES])
        self._built: list[Deps] = []
        self.deps = self.worker()

    def worker(self) -> Deps:
        """Another worker process, which reads bots and budgets anew."""
        self._built.append(self._build())
        return self._built[-1]

    def say(self, text: str) -> None:
        self.storage.let_in(a_message(text, by=(a_phone("34600111222"),)))
        assert reply_one(self.deps, QUEUE)

    def submit(self, count: int) -> UUID:
        started = submit(self.storage.web.execution_options(isolation_level="AUTOCOMMIT"), lines(count))
        assert started.batch is not None
        return started.batch

    def budget(self, name: str, usd: float) -> None:
        """Give every bot a budget; a new process knows it at once."""
        with unit(self.storage.web) as connection:
            connection.exec_driver_sql(f"update bots set {name} = %s", (usd,))
        self.deps = self.worker()

    def asked(self) -> int:
        """How many answers the model was asked for."""
        return len(self.server.log())

    def end(self) -> None:
        for deps in self._built:
            deps.worker.dispose()
            deps.crossing.dispose()
        for engine in (self.storage.web, self.storage.worker, self.storage.crossing):
            engine.dispose()


@pytest.fixture(params=["hosted", "vllm"])
def flavour(request: pytest.FixtureRequest) -> str:
    """A server without a tokenizer, and one with it."""
    return request.param


@pytest.fixture
def house(cluster: Cluster, tmp_path: Path, flavour: str) -> Iterator[_House]:
    database = cluster.database()
    with scripted(tmp_path, "--flavour", flavour) as server:
        server.script(usage={})
        opened = _House(cluster, database, server)
        yield opened
        opened.end()
    cluster.drop(database)


def _calls(storage: StorageFixture) -> list[Any]:
    return storage.rows(
        "select tokens_in, tokens_cached, tokens_out, cost, estimated, outcome from model_calls order by created_at, attempt"
    )


def _price_of(row: Any) -> float:
    return ((row.tokens_in - row.tokens_cached) * 1000 + row.tokens_cached * 100 + row.tokens_out * 2000) / 1e6


@pytest.mark.parametrize("flavour", ["hosted"])
@pytest.mark.parametrize("reported", _UNCOUNTED, ids=["nothing", "zeros", "nulls", "negative", "huge"])
def test_an_answer_is_paid_for_whatever_its_server_counts(house: _House, reported: dict[str, Any]) -> None:
    house.server.script(usage=reported)
    house.say("When does the ferry leave?")
    (call,) = _calls(house.storage)
    truth = house.server.log()[0]["usage"]

    assert (call.outcome, call.estimated) == ("ok", True)
    assert truth["prompt_tokens"] <= call.tokens_in < 10 * truth["prompt_tokens"]
    assert truth["completion_tokens"] <= call.tokens_out < 10 * truth["completion_tokens"]
    assert call.tokens_cached == 0
    assert call.cost == pytest.approx(_price_of(call))


def test_a_server_that_counts_is_believed(house: _House) -> None:
    house.server.script(usage=None)
    house.say("When does the ferry leave?")
    (call,) = _calls(house.storage)
    truth = house.server.log()[0]["usage"]

    assert (call.tokens_in, call.tokens_out, call.estimated) == (truth["prompt_tokens"], truth["completion_tokens"], False)


@pytest.mark.parametrize("flavour", ["vllm"])
def test_a_tokenizer_counts_rather_than_an_estimate(house: _House) -> None:
    house.say("When does the ferry to Puerto de la Cruz leave?")
    (call,) = _calls(house.storage)
    entry = house.server.log()[0]
    words = sum(len(message["content"].split()) for message in entry["messages"])

    assert call.tokens_out == entry["usage"]["completion_tokens"]
    # And 6 for each message, and 8, for the template.
    assert call.tokens_in == words + 6 * len(entry["messages"]) + 8


@pytest.mark.parametrize("flavour", ["vllm"])
def test_thoughts_count_even_where_nobody_sees_them(house: _House, tmp_path: Path) -> None:
    (tmp_path / "thinks").mkdir()
    with scripted(tmp_path / "thinks", "--flavour", "hosted", "--reasoning", "field") as server:
        server.script(usage={}, answer="Yes.")
        with unit(house.storage.web) as connection:
            connection.exec_driver_sql("update endpoints set url = %s, probe_at = null", (f"{server.url}/v1",))
        house.deps = house.worker()
        house.say("Does it leave?")
    (call,) = _calls(house.storage)

    assert call.tokens_out > 5


def test_a_contacts_day_ends(house: _House) -> None:
    house.budget("budget_contact_day", 0.000001)
    house.say("good morning")
    house.say("and then?")

    assert house.asked() == 1
    assert [row.reason for row in house.storage.rows("select reason from turns order by number")] == [None, "budget"]


def test_a_bots_month_ends_for_talk_and_for_batches(house: _House) -> None:
    house.say("good morning")
    house.budget("budget_month", 0.000001)
    house.say("and then?")
    batch = house.submit(3)

    assert usage.hold_spent(house.storage.crossing) == 1
    assert not batch_one(house.deps, _BATCHES)
    assert house.asked() == 1
    assert results(house.storage.web, batch) == []


def test_a_bots_month_ends_by_its_batches_alone(house: _House) -> None:
    batch = house.submit(3)
    assert batch_one(house.deps, _BATCHES)
    house.budget("budget_month", 0.000001)

    assert usage.hold_spent(house.storage.crossing) == 1
    assert not batch_one(house.deps, _BATCHES)
    (line,) = results(house.storage.web, batch)
    assert line["usage"]["estimated"] is True
    assert min(line["usage"]["tokens_in"], line["usage"]["tokens_out"]) > 0
    (item,) = house.storage.rows("select tokens_in, tokens_cached, tokens_out, cost from batch_items where estimated")
    assert item.cost == pytest.approx(_price_of(item))


@pytest.mark.parametrize("flavour", ["hosted"])
def test_notes_on_a_talk_and_answers_that_broke_off_are_marked_too(house: _House) -> None:
    house.storage.let_in(a_message("figs"))
    house.storage.answered(asked="figs", answer="yes")
    house.storage.do("update conversations set summarise_at = now(), summarise_to = 1")
    assert summarise_one(house.deps, _BATCHES)
    house.server.script(mode="stream_error")
    house.say("good morning")

    assert {(call.outcome, call.estimated) for call in _calls(house.storage)} >= {("summary", True), ("ModelUnavailable", True)}
    assert all(call.tokens_in > 0 and call.cost > 0 for call in _calls(house.storage) if call.estimated)


def test_the_days_sums_say_how_many_calls_were_estimated(house: _House) -> None:
    house.say("good morning")
    house.server.script(usage=None)
    house.say("and then?")
    while usage.roll(house.storage.crossing, margin_s=0):
        pass
    with unit(house.storage.crossing) as connection:
        first = usage.months(connection, tenant=house.storage.account.tenant_id)[0]
        month = usage.month(connection, tenant=house.storage.account.tenant_id, first=first)

    assert (month.total.calls, month.total.calls_estimated) == (2, 1)
    assert [one.calls_estimated for one in month.models] == [1]


def test_a_comparison_counts_as_well(tmp_path: Path, flavour: str) -> None:
    with scripted(tmp_path, "--flavour", flavour) as server:
        server.script(usage={})
        price = Price(tokens_in=1000.0, tokens_out=2000.0)
        endpoint = server.endpoint()
        client = ModelClient(
            type(endpoint)(name="e", url=endpoint.url, model=endpoint.model, price=price),
            timeouts=Timeouts(),
            breaker=Breaker(failures=2, probe_s=0.2),
        )
        turn = Turn(talk="t", number=1, messages=(Message(role="user", content="When does it leave?"),), recorded=None)
        asking = Asking(max_tokens=50, temperature=0.3, top_p=0.9, patience_s=5.0)
        ((reply,),) = replay([turn], [client], asking, parallel=1, told=lambda _: None)

    assert reply.usage is not None
    assert reply.usage.estimated
    assert reply.cost is not None
    assert reply.cost > 0
