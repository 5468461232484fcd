"""Profiles in the whole service: a real turn goes through the list, messages leave your servers only if allowed, and keys are never seen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bots.crypto import Keyring
from bots.settings import Settings
from bots.storage import endpoints, tenants
from bots.storage.database import unit
from bots.storage.endpoints import Form
from tests.support import build
from tests.support.cluster import Cluster
from tests.support.fakes import Model
from tests.support.processes import until
from tests.support.stack import WINDOWS, Stack
from tests.support.talk import Talk, heal

_KEY = f"{build.CANARY}-hosted-key"


class _House:
    """The service, its own model and a hosted one."""

    def __init__(self, stack: Stack, hosted: Model) -> None:
        self.stack, self.inside, self.outside = stack, stack.model, hosted
        self.keyring = Keyring.from_settings(Settings.from_env(stack.cluster.addresses(stack.database)))
        self.web = stack.engine("web")
        with unit(self.web) as connection:
            self.tenant = tenants.default(connection)
            self.ids = {
                name: endpoints.add(
                    connection,
                    self.keyring,
                    tenant=self.tenant,
                    form=Form(name=name, url=f"{url}/v1", model=name, leaves_house=name == "outside", price_in=10.0, price_out=30.0),
                    api_key=_KEY,
                ).id
                for name, url in (("inside", self.inside.url), ("outside", hosted.url))
            }

    def profile(self, *names: str) -> None:
        """Make the profile of these endpoints, in order, and wait until the worker has read it."""
        with unit(self.web) as connection:
            endpoints.set_profile(connection, self.tenant, "default", [(n, self.ids[name]) for n, name in enumerate(names)])
        until(lambda: self._answerers() == set(names[:1] or ["default"]), what="the worker took the profile", timeout_s=20)

    def _answerers(self) -> set[str]:
        talk = Talk(self.stack)
        return {call["endpoint"] for call in self.calls(talk.say("Who are you?"))}

    def may_leave(self, allowed: bool) -> None:
        """Say whether words may leave, and wait until the worker must know: it goes by what it read for two seconds."""
        with self.stack.owner.begin() as connection:
            changed = connection.exec_driver_sql(
                "update bots set data_may_leave = %s where data_may_leave <> %s returning now()", (allowed, allowed)
            ).scalar()
        if changed is not None:
            until(
                lambda: self.stack.one("select now() > cast(:at as timestamptz) + interval '2.2 s'", at=changed),
                what="the worker read the bot anew",
            )

    def calls(self, wamid: str) -> list[dict[str, Any]]:
        """The calls of the model for a message's turn, once it has ended."""
        Talk(self.stack).turn(wamid)
        return self.stack.rows(
            "select c.* from model_calls c join inbox i on i.turn_id = c.turn_id where i.event_key = :key order by c.attempt", key=wamid
        )


@pytest.fixture(scope="module")
def house(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[_House]:
    """Web, dispatcher and one worker; the invariants hold at the end, that nothing secret was printed among them."""
    quick = {"CHINWAG_MODEL_BREAKER_FAILURES": "3", "CHINWAG_MODEL_BREAKER_PROBE_S": "0.5", "CHINWAG_DEBOUNCE_S": "0.02"}
    with Stack(cluster, tmp_path_factory.mktemp("routing"), settings=WINDOWS | quick) as running:
        hosted = Model(running.processes.start("model-hosted", ["inference.scripted", "--port", "0"], {}).wait_listening())
        running.start_web()
        running.start_dispatcher()
        made = _House(running, hosted)
        running.start_worker(CHINWAG_LOG_LEVEL="debug")
        yield made
        running.wait_settled()
        running.check()
        hosted.close()


@pytest.fixture
def talk(house: _House) -> Iterator[Talk]:
    """A person of the test's own; afterwards both models answer and no profile is described."""
    yield Talk(house.stack)
    for model in (house.inside, house.outside):
        heal(model)
    house.may_leave(False)
    with unit(house.web) as connection:
        endpoints.set_profile(connection, house.tenant, "default", [])


def test_a_turn_goes_on_to_the_next_endpoint_and_the_record_tells_it(house: _House, talk: Talk) -> None:
    house.may_leave(True)
    house.profile("inside", "outside")
    house.inside.script(mode="down503", match="Hello")
    wamid = talk.say("Hello there")
    calls = house.calls(wamid)

    assert talk.got(wamid) == ["You said: Hello there"]
    assert [(call["attempt"], call["endpoint"], call["model"], call["outcome"]) for call in calls] == [
        (1, "inside", "inside", "ModelUnavailable"),
        (2, "outside", "outside", "ok"),
    ]
    paid = (calls[1]["tokens_in"] * 10 + calls[1]["tokens_out"] * 30) / 1_000_000
    assert calls[0]["cost"] is None
    assert 0 < calls[1]["cost"] <= paid


def test_words_do_not_leave_the_house_until_the_bot_allows_it(house: _House, talk: Talk) -> None:
    house.profile("inside", "outside")
    house.inside.script(mode="down503", match="secret")
    wamid = talk.say("My secret is safe")
    until(lambda: sum("secret" in str(entry["messages"]) for entry in house.inside.log()) > 1, what="the model was asked twice in vain")
    open_turn = house.stack.rows("select state, reason from turns where id = :turn", turn=house.stack.turn_of(wamid))
    seen_outside = [entry for entry in house.outside.log() if "secret" in str(entry)]
    house.may_leave(True)

    assert talk.got(wamid) == ["You said: My secret is safe"]
    assert open_turn == [{"state": "open", "reason": "model_unavailable"}]
    assert seen_outside == []
    assert house.calls(wamid)[-1]["endpoint"] == "outside"


def test_garbage_is_paid_for(house: _House, talk: Talk) -> None:
    house.profile("inside")
    house.inside.script(mode="loop", match="Bake", times=2)
    calls = house.calls(talk.say("Bake for me"))

    assert [call["outcome"] for call in calls] == ["garbage", "garbage"]
    assert all(call["tokens_out"] > 0 and call["cost"] > 0 for call in calls)


def test_a_new_endpoint_is_measured_by_a_worker_and_told_of(house: _House) -> None:
    def measured() -> dict[str, endpoints.EndpointRow]:
        with unit(house.web) as connection:
            return {row.name: row for row in endpoints.list_all(connection, house.tenant) if row.probed_at is not None}

    rows = until(lambda: len(found := measured()) == 2 and found, what="both endpoints were probed", timeout_s=60)

    assert all(row.traits and row.probe_at is None for row in rows.values())


def test_a_key_is_sealed_and_opens_for_its_own_endpoint_alone(house: _House) -> None:
    stored = house.stack.rows("select name, api_key from endpoints")
    with unit(house.web) as connection:
        rows = {row.name: row for row in endpoints.list_all(connection, house.tenant)}

    assert all(_KEY.encode() not in bytes(row["api_key"]) for row in stored)
    assert {endpoints.open_key(house.keyring, row) for row in rows.values()} == {_KEY}
    assert _KEY not in repr(rows)
    assert [
        process.name for process in house.stack.processes.all if _KEY in process.printed() and not process.name.startswith("model")
    ] == []
